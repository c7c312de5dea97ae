//go:build linux && (arm64 || riscv64 || loong64)

package shim

// The numbers of include/uapi/asm-generic/unistd.h.
const (
	sysChdir         = 49
	sysOpenat        = 56
	sysClose         = 57
	sysWrite         = 64
	sysCapset        = 91
	sysExitGroup     = 94
	sysFcntl         = 25
	sysRtSigaction   = 134
	sysRtSigprocmask = 135
	sysSetpriority   = 140
	sysSetresuid     = 147
	sysSetresgid     = 149
	sysSetgroups     = 159
	sysUmask         = 166
	sysPrctl         = 167
	sysGetpid        = 172
	sysGetppid       = 173
	sysGetuid        = 174
	sysKeyctl        = 219
	sysExecve        = 221
	sysPrlimit64     = 261
	sysCloseRange    = 436
)
