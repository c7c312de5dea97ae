package shim

import "unsafe"

// These are parts of package syscall that it is itself given by the runtime, or
// that golang.org/x/sys/unix reaches by the same way. Taking them by name
// instead of importing syscall is what lets this package initialise first.

//go:linkname runtimeEnvs syscall.runtime_envs
func runtimeEnvs() []string

// beforeExec keeps the runtime from starting a thread while the process
// execs (golang/go#19546).
//
//go:linkname beforeExec syscall.runtime_BeforeExec
func beforeExec()

//go:linkname afterExec syscall.runtime_AfterExec
func afterExec()

//go:linkname rawSyscall6 syscall.RawSyscall6
func rawSyscall6(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2, errno uintptr)

func call(trap, a1, a2, a3 uintptr) (r1, errno uintptr) {
	r1, _, errno = rawSyscall6(trap, a1, a2, a3, 0, 0, 0)
	return r1, errno
}

// defaultAction is a struct sigaction: SIG_DFL, no flags, an empty mask. All
// zero means that on every architecture, so the order of the fields does not
// matter; and noSignals is a sigset_t.
var (
	defaultAction struct {
		handler, flags, restorer uintptr
		mask                     uint64
	}
	noSignals uint64
)

// resetSignals makes every disposition the default one and empties the mask.
// Exec itself resets handlers but hands on what is ignored, as under nohup.
// The handlers of the Go runtime go too: until the exec a SIGQUIT should end
// the worker, not print the shim's stacks as if they were the worker's.
func resetSignals() {
	for sig := uintptr(1); sig <= 64; sig++ {
		// SIGKILL and SIGSTOP refuse, and have the default already.
		rawSyscall6(sysRtSigaction, sig, uintptr(unsafe.Pointer(&defaultAction)), 0, unsafe.Sizeof(noSignals), 0, 0)
	}
	const sigSetmask = 2
	rawSyscall6(sysRtSigprocmask, sigSetmask, uintptr(unsafe.Pointer(&noSignals)), 0, unsafe.Sizeof(noSignals), 0, 0)
}

// become changes groups and user for good, saved ids included. The calls
// concern this thread alone, where setuid(2) of libc and syscall stop and
// change all of them.
func (u *User) become() (errno uintptr) {
	if _, errno = call(sysSetgroups, uintptr(len(u.Groups)), uintptr(unsafe.Pointer(unsafe.SliceData(u.Groups))), 0); errno != 0 {
		return errno
	}
	gid, uid := uintptr(u.GID), uintptr(u.UID)
	if _, errno = call(sysSetresgid, gid, gid, gid); errno != 0 {
		return errno
	}
	_, errno = call(sysSetresuid, uid, uid, uid)
	return errno
}

// dieWithMaster has the kernel kill this process when the master's main
// thread, which forked it, ends.
func dieWithMaster() {
	const (
		prSetPdeathsig = 1
		sigkill        = 9
	)
	call(sysPrctl, prSetPdeathsig, sigkill, 0)
}

// closeOnExec marks every descriptor from first on. Before Linux 5.11 only the
// first one, the master's own, is marked, and what the master itself inherited
// without FD_CLOEXEC is handed on.
func closeOnExec(first int) {
	const closeRangeCloexec, fSetFD, fdCloexec = 4, 2, 1
	if _, errno := call(sysCloseRange, uintptr(first), uintptr(^uint32(0)), closeRangeCloexec); errno != 0 {
		call(sysFcntl, uintptr(first), fSetFD, fdCloexec)
	}
}

func umask(mask int) { call(sysUmask, uintptr(mask), 0, 0) }

func chdir(dir string) (errno uintptr) {
	_, errno = call(sysChdir, uintptr(unsafe.Pointer(terminated(dir))), 0, 0)
	return errno
}

func getpid() int {
	pid, _ := call(sysGetpid, 0, 0, 0)
	return int(pid)
}

func getppid() int {
	pid, _ := call(sysGetppid, 0, 0, 0)
	return int(pid)
}

func exit() { call(sysExitGroup, 1, 0, 0) }

// execve leaves RLIMIT_NOFILE alone: the master's fork restored it, and
// syscall, whose init would raise it again, has not initialised yet.
func execve(path string, argv, env []string) (errno uintptr) {
	argv0, argvp, envp := terminated(path), terminatedList(argv), terminatedList(env)
	beforeExec()
	_, errno = call(sysExecve, uintptr(unsafe.Pointer(argv0)), uintptr(unsafe.Pointer(&argvp[0])), uintptr(unsafe.Pointer(&envp[0])))
	afterExec()
	return errno
}

// terminated returns s as the kernel wants it, with a NUL at its end.
func terminated(s string) *byte {
	b := make([]byte, len(s)+1)
	copy(b, s)
	return &b[0]
}

// terminatedList does it for a whole list, which ends with a nil, in two
// allocations: each of another size would touch fresh pages.
func terminatedList(list []string) []*byte {
	size := 0
	for _, s := range list {
		size += len(s) + 1
	}
	block := make([]byte, size)
	pointers := make([]*byte, len(list)+1)
	for i, s := range list {
		copy(block, s)
		pointers[i] = &block[0]
		block = block[len(s)+1:]
	}
	return pointers
}
