package auth

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lowerPriority lets this process run only when no other process wants to: SCHED_IDLE is below nice 19, and processes
// that wake up need not wait for it. It applies to threads, and Go has some of its own: the garbage collector's take
// half as long as the hashing does. New threads inherit the policy of the thread that starts them.
func lowerPriority() {
	for range 2 { // again, for threads started meanwhile by one that had not been changed
		threads, _ := os.ReadDir("/proc/self/task")
		for _, thread := range threads {
			id, _ := strconv.Atoi(thread.Name())
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, 19) // effective without SCHED_IDLE
			_ = unix.SchedSetAttr(id, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0)
		}
	}
}
