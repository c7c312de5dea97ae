//go:build linux

package shim

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestSystemCallNumbers(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"rt_sigaction", sysRtSigaction, unix.SYS_RT_SIGACTION},
		{"rt_sigprocmask", sysRtSigprocmask, unix.SYS_RT_SIGPROCMASK},
		{"getpid", sysGetpid, unix.SYS_GETPID},
		{"getppid", sysGetppid, unix.SYS_GETPPID},
		{"getuid", sysGetuid, unix.SYS_GETUID},
		{"keyctl", sysKeyctl, unix.SYS_KEYCTL},
		{"execve", sysExecve, unix.SYS_EXECVE},
		{"chdir", sysChdir, unix.SYS_CHDIR},
		{"umask", sysUmask, unix.SYS_UMASK},
		{"setgroups", sysSetgroups, unix.SYS_SETGROUPS},
		{"setresuid", sysSetresuid, unix.SYS_SETRESUID},
		{"setresgid", sysSetresgid, unix.SYS_SETRESGID},
		{"prctl", sysPrctl, unix.SYS_PRCTL},
		{"exit_group", sysExitGroup, unix.SYS_EXIT_GROUP},
		{"write", sysWrite, unix.SYS_WRITE},
		{"close", sysClose, unix.SYS_CLOSE},
		{"openat", sysOpenat, unix.SYS_OPENAT},
		{"capset", sysCapset, unix.SYS_CAPSET},
		{"setpriority", sysSetpriority, unix.SYS_SETPRIORITY},
		{"prlimit64", sysPrlimit64, unix.SYS_PRLIMIT64},
		{"close_range", sysCloseRange, unix.SYS_CLOSE_RANGE},
	} {
		if c.got != c.want {
			t.Errorf("%s is %d, want %d", c.name, c.got, c.want)
		}
	}
}
