package supervisor

import "syscall"

// endsWithMaster has the kernel kill a process when the master ends, which has to
// start it on the main thread.
func endsWithMaster() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
