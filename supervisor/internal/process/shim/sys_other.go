//go:build unix && !linux

package shim

import "syscall"

func runtimeEnvs() []string { return syscall.Environ() }

// resetSignals leaves ignored signals ignored: without a stable system call
// interface only os/signal could change that, and it initialises too late.
func resetSignals() {}

// ignoreStops has nothing to do: there is no upgrade in place.
func ignoreStops() {}

// become changes groups and user; there are no capabilities here.
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

// leaveKeyring does nothing: keyrings are Linux's.
func (u *User) leaveKeyring() (errno uintptr) { return 0 }

// dieWithMaster does nothing: PR_SET_PDEATHSIG is Linux's.
func dieWithMaster() {}

// closeOnExec does nothing: close_range is Linux's.
func closeOnExec(int) {}

func umask(mask int) { syscall.Umask(mask) }

func chdir(dir string) (errno uintptr) { return number(syscall.Chdir(dir)) }

func getpid() int { return syscall.Getpid() }

func getppid() int { return syscall.Getppid() }

func exit(status int) { syscall.Exit(status) }

// complain writes to stderr.
func complain(text string) { _, _ = syscall.Write(2, []byte(text)) }

const (
	rlimitCore   = syscall.RLIMIT_CORE
	rlimitNoFile = syscall.RLIMIT_NOFILE
	rlimitAS     = syscall.RLIMIT_AS
)

// setLimit sets both the soft and the hard limit.
func setLimit(resource, limit int) (errno uintptr) {
	return number(syscall.Setrlimit(resource, &syscall.Rlimit{Cur: uint64(limit), Max: uint64(limit)}))
}

func setNice(nice int) (errno uintptr) {
	return number(syscall.Setpriority(syscall.PRIO_PROCESS, 0, nice))
}

// setOOMScoreAdj cannot be done: it is Linux's.
func setOOMScoreAdj(string) (errno uintptr) { return uintptr(syscall.ENOTSUP) }

// noNewPrivs cannot be done: it is Linux's.
func noNewPrivs() (errno uintptr) { return uintptr(syscall.ENOTSUP) }

// program is what is to be executed.
type program struct {
	path       string
	argv, envp []string
}

func prepare(path string, argv, env []string) program { return program{path, argv, env} }

// exec also gives back the soft RLIMIT_NOFILE that syscall's init raised
// (go.dev/issue/46279).
func (p *program) exec() (errno uintptr) {
	return number(syscall.Exec(p.path, p.argv, p.envp))
}

func number(err error) uintptr {
	errno, _ := err.(syscall.Errno)
	return uintptr(errno)
}
