package auth

import "golang.org/x/sys/unix"

// lowerPriority lets the calling thread run when no other of the machine wants to: SCHED_IDLE is below nice 19, and
// whoever wakes up need not wait for it.
func lowerPriority() {
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 19) // what counts where there is no SCHED_IDLE
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0)
}
