//go:build linux

package supervisor

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// launch starts the process of a worker, with everything it is given.
func launch(s *Supervisor, f fleet.Worker) (started *worker, err error) {
	r := s.revisions[f.Revision]
	w := &worker{Identity: f.Identity, revision: r, limit: drawLimit(r.config.MaxRequests, r.config.MaxRequestsJitter)}
	defer func() {
		if started == nil {
			w.release()
		}
	}()
	if w.endpoint, err = notify.New(); err != nil {
		return nil, err
	}
	defer w.endpoint.CloseChild()
	defer func() {
		for _, t := range w.tails() {
			t.CloseWriteEnd()
		}
	}()
	if err := w.openOutput(s); err != nil {
		return nil, err
	}
	if w.memory, err = scoreboard.Create(); err != nil {
		s.withoutBoards(err)
		w.memory = nil
	}

	stdout, stderr := w.outputFds()
	files := []int{process.Null, stdout, stderr}
	env := promptly(r.config.Environ(s.options.Environ, r.identity, f.Slot, f.Place, f.ID))
	give := func(name, value string) { env = append(env, name+"="+value) }

	sockets := r.sockets.Fds(f.Slot)
	files = append(files, sockets...)
	give(protocol.EnvListenFDs, strconv.Itoa(len(sockets)))
	give(protocol.EnvListenPID, "") // filled in by the process itself
	give(protocol.EnvListenFDNames, strings.Join(r.sockets.Names(), ":"))

	if address := w.endpoint.Address(); address != "" {
		give(protocol.EnvNotifySocket, address)
	}
	give(protocol.EnvNotifyFD, strconv.Itoa(len(files)))
	files = append(files, w.endpoint.ChildFd())
	if w.memory != nil {
		give(protocol.EnvScoreboardFD, strconv.Itoa(len(files)))
		files = append(files, int(w.memory.File().Fd()))
	}
	if s.busy != nil {
		give(protocol.EnvFleetFD, strconv.Itoa(len(files)))
		files = append(files, int(s.busy.File().Fd()))
	}
	if s.access != nil && r.config.Log.AccessFile != "" {
		fd, err := s.access.Open(f.ID, r.config.Log.AccessFormat)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		give(protocol.EnvAccessFD, strconv.Itoa(len(files)))
		give(protocol.EnvAccessFormat, r.config.Log.AccessFormat)
		files = append(files, fd)
	}
	if r.tls >= 0 {
		give(protocol.EnvTLSFD, strconv.Itoa(len(files)))
		files = append(files, r.tls)
	}
	give(protocol.EnvSlot, strconv.Itoa(f.Slot))
	give(protocol.EnvPlace, strconv.Itoa(f.Place))
	give(protocol.EnvWorkerID, strconv.Itoa(f.ID))
	give(protocol.EnvGeneration, strconv.Itoa(f.Generation))
	give(protocol.EnvStopSignal, r.config.StopSignal.Name)
	give(protocol.EnvLimitRequests, strconv.Itoa(w.limit))
	for name, value := range limitsEnv(r.config) {
		give(name, strconv.FormatInt(value, 10))
	}
	if d := r.config.Watchdog; d > 0 {
		give(protocol.EnvWatchdog, strconv.FormatInt(d.Microseconds(), 10))
	}

	spec := process.Spec{
		Path: r.resolved.Path, Argv: r.config.Command, Dir: r.resolved.Dir,
		Env: env, Files: files, Credential: r.credential,
		Limits: limitsOfProcess(r.config),
	}
	if r.config.Umask.Set {
		spec.Umask = &r.config.Umask.Mask
	}
	spec.Executed = func() { w.post(s, message{id: f.ID, executed: true}) }
	if w.pid, err = process.Start(spec); err != nil {
		return nil, err
	}
	w.serve(s)
	if err := r.sockets.Listen(); err != nil {
		// The worker would accept on a socket that does not listen.
		process.KillGroup(w.pid)
		return w, fmt.Errorf("cannot listen: %w", err)
	}
	return w, nil
}

// limitsEnv are the limits that a cooperating worker applies itself.
func limitsEnv(c *config.Config) map[string]int64 {
	return map[string]int64{
		protocol.EnvLimitKeepAlive:      milliseconds(c.KeepAlive),
		protocol.EnvLimitTimeout:        milliseconds(c.Timeout),
		protocol.EnvLimitStreamTimeout:  milliseconds(c.StreamTimeout.Duration),
		protocol.EnvLimitUpgradeTimeout: milliseconds(c.UpgradeTimeout),
		protocol.EnvLimitRequestTimeout: milliseconds(c.RequestTimeout),
		protocol.EnvLimitBacklogTimeout: milliseconds(c.BacklogTimeout),
		protocol.EnvLimitConnections:    int64(c.WorkerConnections),
	}
}

// limitsOfProcess are the limits that the kernel holds a worker to.
func limitsOfProcess(c *config.Config) process.Limits {
	l := process.Limits{
		NoFile: uint64(c.Limits.NoFile), AS: uint64(c.Limits.AS),
		Nice: c.Limits.Nice, OOMScoreAdj: c.Limits.OOMScoreAdj, NoNewPrivs: c.Limits.NoNewPrivs.On,
	}
	if core := uint64(c.Limits.Core); c.Limits.Core >= 0 {
		l.Core = &core
	}
	return l
}

// milliseconds rounds up: what is short is not 0, which is no limit.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// drawLimit is a worker's own max_requests; 0: none.
func drawLimit(most, jitter int) int {
	if most == 0 {
		return 0
	}
	return most + rand.IntN(jitter+1)
}

// deed is what is done to a process by signal.
type deed int

const (
	deedStop  deed = iota // ask it to finish
	deedAbort             // ask it for its stacks, also if it was stopped
	deedKill              // end it and all that it has started, or its process group alone
)

func (d deed) String() string { return [...]string{"stop", "abort", "kill"}[d] }

// send does the deed. The process is not reaped yet, so the pid is its own.
func send(pid int, w *worker, d deed) error {
	switch d {
	case deedStop:
		return process.Signal(pid, w.revision.config.StopSignal.Number)
	case deedAbort:
		if err := process.Signal(pid, w.revision.config.AbortSignal.Number); err != nil {
			return err
		}
		return process.Continue(pid)
	default:
		if w.revision.config.Limits.Outlive {
			return process.KillGroup(pid)
		}
		return process.KillTree(pid)
	}
}
