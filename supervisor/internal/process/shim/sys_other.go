//go:build unix && !linux

package shim

import "syscall"

func runtimeEnvs() []string { return syscall.Environ() }

// resetSignals leaves ignored signals ignored: without a stable system call
// interface only os/signal could change that, and it initialises too late.
func resetSignals() {}

func (u *User) become() (errno uintptr) {
	groups := make([]int, len(u.Groups))
	for i, g := range u.Groups {
		groups[i] = int(g)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return number(err)
	}
	if err := syscall.Setgid(int(u.GID)); err != nil {
		return number(err)
	}
	return number(syscall.Setuid(int(u.UID)))
}

// dieWithMaster does nothing: PR_SET_PDEATHSIG is Linux's.
func dieWithMaster() {}

// closeOnExec does nothing: close_range is Linux's.
func closeOnExec(int) {}

func umask(mask int) { syscall.Umask(mask) }

func chdir(dir string) (errno uintptr) { return number(syscall.Chdir(dir)) }

func getpid() int { return syscall.Getpid() }

func getppid() int { return syscall.Getppid() }

func exit() { syscall.Exit(1) }

// execve also gives back the soft RLIMIT_NOFILE that syscall's init raised
// (go.dev/issue/46279).
func execve(path string, argv, env []string) (errno uintptr) {
	return number(syscall.Exec(path, argv, env))
}

func number(err error) uintptr {
	errno, _ := err.(syscall.Errno)
	return uintptr(errno)
}
