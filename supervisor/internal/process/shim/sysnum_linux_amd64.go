package shim

const (
	sysRtSigaction   = 13
	sysRtSigprocmask = 14
	sysGetpid        = 39
	sysExecve        = 59
	sysFcntl         = 72
	sysChdir         = 80
	sysUmask         = 95
	sysGetppid       = 110
	sysSetgroups     = 116
	sysSetresuid     = 117
	sysSetresgid     = 119
	sysPrctl         = 157
	sysExitGroup     = 231
	sysCloseRange    = 436
)
