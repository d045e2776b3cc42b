package auth

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lowerPriority lets this process run when no other of the machine wants to: SCHED_IDLE is below nice 19, and whoever
// wakes up need not wait for it. It goes by threads, of which Go has some for itself: the collector's take half as long
// as the hashing does. Those that are started later have the policy of the one that starts them.
func lowerPriority() {
	for range 2 { // again for those that were started meanwhile by one whose turn had not come
		threads, _ := os.ReadDir("/proc/self/task")
		for _, thread := range threads {
			id, _ := strconv.Atoi(thread.Name())
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, 19) // what counts where there is no SCHED_IDLE
			_ = unix.SchedSetAttr(id, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0)
		}
	}
}
