//go:build unix

package bench

import (
	"syscall"
	"time"
)

// cpu is the CPU time of this process so far, in user and system mode.
func cpu() time.Duration { return spent(syscall.RUSAGE_SELF) }

// cpuOfAll is that of this process and of the children that have ended.
func cpuOfAll() time.Duration { return cpu() + spent(syscall.RUSAGE_CHILDREN) }

func spent(who int) time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
