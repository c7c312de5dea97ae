package supervisor

import (
	"os"
	"syscall"
)

// ignoredHere are signals that only Linux has. 34 is SIGRTMIN.
var ignoredHere = []os.Signal{syscall.SIGPWR, syscall.SIGSTKFLT, syscall.Signal(34)}
