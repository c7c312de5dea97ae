package process

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// mayRaise says whether hard limits can be raised.
func mayRaise() bool { return capable(unix.CAP_SYS_RESOURCE) }

// checkPrivileges checks what needs privileges of its own: a lower nice value,
// but for what RLIMIT_NICE allows.
func (l Limits) checkPrivileges() error {
	raw, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	now := 20 - raw // the system call cannot return what is below 0
	var lowest unix.Rlimit
	if err != nil || l.Nice == 0 || l.Nice >= now || capable(unix.CAP_SYS_NICE) ||
		unix.Getrlimit(unix.RLIMIT_NICE, &lowest) == nil && uint64(20-l.Nice) <= lowest.Cur {
		return nil
	}
	return &LimitError{"nice", fmt.Errorf("%d is below the %d of the master, for which it needs CAP_SYS_NICE", l.Nice, now)}
}

// capable says whether this process has a capability in force.
func capable(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return false
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}
