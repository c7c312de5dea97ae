package process

import (
	"fmt"
	"syscall"

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
