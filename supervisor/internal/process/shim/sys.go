//go:build linux

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

// ignoreStops has SIGQUIT and SIGTERM dropped, as they were when the image before
// this one ended. The runtime has just installed handlers for them that end the
// process, and it takes a millisecond until there is somebody to be told.
func ignoreStops() {
	const sigIgn, sigquit, sigterm = 1, 3, 15
	// The handler comes first on every architecture with 64 bits.
	ignore := defaultAction
	ignore.handler = sigIgn
	for _, sig := range []uintptr{sigquit, sigterm} {
		rawSyscall6(sysRtSigaction, sig, uintptr(unsafe.Pointer(&ignore)), 0, unsafe.Sizeof(noSignals), 0, 0)
	}
}

// conceal closes a master to its workers again, which the exec of this image has
// opened: see process.Conceal.
func conceal() {
	const prSetDumpable = 4
	call(sysPrctl, prSetDumpable, 0, 0)
}

// become changes groups and user for good, saved ids included. The calls
// concern this thread alone, where setuid(2) of libc and syscall stop and
// change all of them.
//
// Capabilities go as well, unless the user is root: the kernel takes those in
// force away with the ids, and what could bring them back goes here. That needs
// CAP_SETPCAP, without which the bounding set, which only ever takes away, stays.
func (u *User) become() (errno uintptr) {
	if u.UID != 0 {
		dropBoundingSet()
	}
	if _, errno = call(sysSetgroups, uintptr(len(u.Groups)), uintptr(unsafe.Pointer(unsafe.SliceData(u.Groups))), 0); errno != 0 {
		return errno
	}
	gid, uid := uintptr(u.GID), uintptr(u.UID)
	if _, errno = call(sysSetresgid, gid, gid, gid); errno != 0 {
		return errno
	}
	if _, errno = call(sysSetresuid, uid, uid, uid); errno == 0 && u.UID != 0 {
		dropCapabilities()
	}
	return errno
}

// leaveKeyring gives another user a session keyring of its own, and an empty one: who
// has that of the master, keyrings(7), can read all keys in it, whoever owns them.
// Where there are no keys, or containers are kept from them, there is nothing to leave.
func (u *User) leaveKeyring() (errno uintptr) {
	const keyctlJoinSessionKeyring, eperm, enosys = 1, 1, 38
	uid, _ := call(sysGetuid, 0, 0, 0)
	if uid == uintptr(u.UID) {
		return 0
	}
	const anonymous = 0
	if _, errno = call(sysKeyctl, keyctlJoinSessionKeyring, anonymous, 0); errno == eperm || errno == enosys {
		return 0
	}
	return errno
}

// dropBoundingSet keeps programs with capabilities of their own from getting any.
func dropBoundingSet() {
	const prCapbsetDrop = 24
	for capability := uintptr(0); ; capability++ {
		if _, errno := call(sysPrctl, prCapbsetDrop, capability, 0); errno != 0 {
			return // it was the last one, or may not be done
		}
	}
}

// dropCapabilities empties the sets that an exec could hand on: also those that
// securebits kept over the change of user. Less is always allowed.
func dropCapabilities() {
	const prCapAmbient, prCapAmbientClearAll = 47, 4
	call(sysPrctl, prCapAmbient, prCapAmbientClearAll, 0)
	header := struct {
		version uint32
		pid     int32
	}{version: 0x20080522} // _LINUX_CAPABILITY_VERSION_3
	var none [2]struct{ effective, permitted, inheritable uint32 }
	call(sysCapset, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0)
}

// The resources of setrlimit(2), the same on all architectures here.
const (
	rlimitCore   = 4
	rlimitNoFile = 7
	rlimitAS     = 9
)

// setLimit sets both the soft and the hard limit.
func setLimit(resource, limit int) (errno uintptr) {
	both := [2]uint64{uint64(limit), uint64(limit)}
	_, _, errno = rawSyscall6(sysPrlimit64, 0, uintptr(resource), uintptr(unsafe.Pointer(&both)), 0, 0, 0)
	return errno
}

func setNice(nice int) (errno uintptr) {
	const prioProcess = 0
	_, errno = call(sysSetpriority, prioProcess, 0, uintptr(nice))
	return errno
}

func setOOMScoreAdj(text string) (errno uintptr) {
	const atFDCWD, writeOnly = -100, 1
	at := atFDCWD
	fd, _, errno := rawSyscall6(sysOpenat, uintptr(at), uintptr(unsafe.Pointer(terminated("/proc/self/oom_score_adj"))), writeOnly, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	_, errno = call(sysWrite, fd, uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(len(text)))
	call(sysClose, fd, 0, 0)
	return errno
}

func noNewPrivs() (errno uintptr) {
	const prSetNoNewPrivs = 38
	_, errno = call(sysPrctl, prSetNoNewPrivs, 1, 0)
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

func exit(status int) { call(sysExitGroup, uintptr(status), 0, 0) }

// complain writes to stderr.
func complain(text []byte) {
	call(sysWrite, 2, uintptr(unsafe.Pointer(unsafe.SliceData(text))), uintptr(len(text)))
}

// program is what execve(2) wants.
type program struct {
	path       *byte
	argv, envp []*byte
}

// prepare takes the memory that exec needs.
func prepare(path string, argv, env []string) program {
	return program{terminated(path), terminatedList(argv), terminatedList(env)}
}

// exec leaves RLIMIT_NOFILE alone: the master's fork restored it, and syscall,
// whose init would raise it again, has not initialised yet.
func (p *program) exec() (errno uintptr) {
	beforeExec()
	_, errno = call(sysExecve, uintptr(unsafe.Pointer(p.path)), uintptr(unsafe.Pointer(&p.argv[0])), uintptr(unsafe.Pointer(&p.envp[0])))
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
