//go:build linux

package process

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/process/shim"
)

// Limits are what a worker and its descendants may use. Resource limits are set
// both soft and hard (setrlimit(2)).
type Limits struct {
	NoFile      uint64  // descriptors (RLIMIT_NOFILE); 0 keeps what the master was started with
	Core        *uint64 // size of a core file in bytes (RLIMIT_CORE); nil keeps the master's
	AS          uint64  // address space in bytes (RLIMIT_AS); 0 keeps the master's
	Nice        int     // nice value, from -20 to 19; 0 keeps the master's
	OOMScoreAdj int     // from -1000, never killed for want of memory, to 1000, killed first; 0 keeps the master's
	NoNewPrivs  bool    // no exec gives privileges (PR_SET_NO_NEW_PRIVS)
}

func (l Limits) plan() shim.Limits {
	p := shim.Limits{NoFile: -1, Core: -1, AS: -1, Nice: l.Nice, OOMScoreAdj: l.OOMScoreAdj, NoNewPrivs: l.NoNewPrivs}
	if l.NoFile > 0 {
		p.NoFile = int(l.NoFile)
	}
	if l.Core != nil {
		p.Core = int(*l.Core)
	}
	if l.AS > 0 {
		p.AS = int(l.AS)
	}
	return p
}

// A LimitError says which of the limits the kernel would refuse.
type LimitError struct {
	Limit string // its key in the configuration, without the table: "nofile"
	Err   error
}

func (e *LimitError) Error() string { return "limits." + e.Limit + ": " + e.Err.Error() }

func (e *LimitError) Unwrap() error { return e.Err }

// Check says, as a *LimitError, which of the limits the kernel will refuse, as
// far as that can be known: whether oom_score_adj may go down shows only when it
// does.
func (l Limits) Check() error {
	if err := below("nofile", syscall.RLIMIT_NOFILE, l.NoFile); err != nil {
		return err
	}
	if l.Core != nil {
		if err := below("core", syscall.RLIMIT_CORE, *l.Core); err != nil {
			return err
		}
	}
	if err := below("as", syscall.RLIMIT_AS, l.AS); err != nil {
		return err
	}
	return l.checkPrivileges()
}

// below says whether a limit is one that may be set.
func below(name string, resource int, want uint64) error {
	var now syscall.Rlimit
	if syscall.Getrlimit(resource, &now) != nil || want <= now.Max || mayRaise() {
		return nil
	}
	return &LimitError{name, fmt.Errorf("%d is above the hard limit of %d, which only CAP_SYS_RESOURCE can raise", want, now.Max)}
}

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
