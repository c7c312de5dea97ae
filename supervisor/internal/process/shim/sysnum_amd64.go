//go:build linux

package shim

const (
	sysWrite         = 1
	sysClose         = 3
	sysRtSigaction   = 13
	sysRtSigprocmask = 14
	sysGetpid        = 39
	sysExecve        = 59
	sysFcntl         = 72
	sysChdir         = 80
	sysUmask         = 95
	sysGetuid        = 102
	sysGetppid       = 110
	sysSetgroups     = 116
	sysSetresuid     = 117
	sysSetresgid     = 119
	sysCapset        = 126
	sysSetpriority   = 141
	sysPrctl         = 157
	sysExitGroup     = 231
	sysKeyctl        = 250
	sysOpenat        = 257
	sysPrlimit64     = 302
	sysCloseRange    = 436
)
