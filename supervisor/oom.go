//go:build linux

package supervisor

import (
	"cmp"
	"syscall"
)

// explainKill says of a worker that ran out of memory that it did. SIGKILL alone
// does not tell: operators send it as well. So the cgroup must have counted a
// kill since the last exit of a worker.
func (s *Supervisor) explainKill(w *worker) {
	kills, ok := s.hands.oom()
	if !ok {
		return
	}
	if w.status.Signal == syscall.SIGKILL && kills > s.oomKills && !w.slain {
		w.failure = cmp.Or(w.failure, "out of memory")
	}
	s.oomKills = kills
}
