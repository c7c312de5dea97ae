//go:build unix && !linux

package process

import (
	"errors"
	"os"
)

// mayRaise says whether hard limits can be raised.
func mayRaise() bool { return os.Geteuid() == 0 }

// checkPrivileges refuses what is Linux's.
func (l Limits) checkPrivileges() error {
	switch {
	case l.OOMScoreAdj != 0:
		return &LimitError{"oom_score_adj", errors.ErrUnsupported}
	case l.NoNewPrivs:
		return &LimitError{"no_new_privs", errors.ErrUnsupported}
	}
	return nil
}
