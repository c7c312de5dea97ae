//go:build linux

package supervisor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/worker/protocol"
)

// outfit is what a process needs to be a worker, as data: whoever makes the process
// gives it this, and needs to know nothing else.
type outfit struct {
	env   []string
	files []int // its descriptors from 0 on, by their numbers here

	handed []func() // close what is open here for the process alone
}

// set gives the process a variable.
func (o *outfit) set(name, value string) { o.env = append(o.env, name+"="+value) }

// hand gives the process a descriptor, and a variable that says which it is.
func (o *outfit) hand(name string, fd int) {
	o.set(name, strconv.Itoa(len(o.files)))
	o.files = append(o.files, fd)
}

// own makes of all descriptors copies that are the outfit's alone. While the process is
// made the loop goes on, and may close what they are copies of.
func (o *outfit) own() error {
	given := o.handed
	for i, fd := range o.files {
		if fd == process.Null {
			continue
		}
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cannot copy what a worker is given: %w", err)
		}
		o.files[i] = own
		o.handed = append(o.handed, func() { unix.Close(own) })
	}
	for _, closeOne := range given {
		closeOne()
	}
	o.handed = o.handed[len(given):]
	return nil
}

// close closes what nobody needs here when the process has it, or will never be.
func (o *outfit) close() {
	for _, closeOne := range o.handed {
		closeOne()
	}
}

// outfit makes what ties the master to a worker, and puts together what the worker is
// given of it and of the rest. It is to be closed after an error as well.
func (s *Supervisor) outfit(w *worker) (o *outfit, err error) {
	r := w.revision
	o = &outfit{}
	if r.config.Preload {
		o.env = r.config.ForkedEnviron(w.Slot, w.Place, w.ID)
	} else {
		o.env = promptly(r.config.Environ(s.options.Environ, r.identity, w.Slot, w.Place, w.ID))
		o.set(protocol.EnvListenPID, "") // filled in by the process itself
	}
	if w.endpoint, err = notify.New(); err != nil {
		return o, err
	}
	o.handed = append(o.handed, func() { w.endpoint.CloseChild() })
	o.handed = append(o.handed, w.closeWriteEnds)
	if err := w.openOutput(s); err != nil {
		return o, err
	}
	w.memory = s.boards.create(s.log)

	stdout, stderr := w.fds()
	o.files = append([]int{process.Null, stdout, stderr}, r.sockets.Fds(w.Slot)...)
	o.set(protocol.EnvListenFDs, strconv.Itoa(r.sockets.Len()))
	o.set(protocol.EnvListenFDNames, strings.Join(r.sockets.Names(), ":"))
	if address := w.endpoint.Address(); address != "" {
		o.set(protocol.EnvNotifySocket, address)
	}
	o.hand(protocol.EnvNotifyFD, w.endpoint.ChildFd())
	if w.memory != nil {
		o.hand(protocol.EnvScoreboardFD, int(w.memory.File().Fd()))
	}
	if fd := s.boards.pageFd(); fd >= 0 {
		o.hand(protocol.EnvFleetFD, fd)
	}
	if access := s.files.Access(); access != nil && r.config.Log.AccessFile != "" {
		fd, err := access.Open(w.ID, r.config.Log.AccessFormat)
		if err != nil {
			return o, err
		}
		o.handed = append(o.handed, func() { unix.Close(fd) })
		o.hand(protocol.EnvAccessFD, fd)
		o.set(protocol.EnvAccessFormat, r.config.Log.AccessFormat)
	}
	if r.tls >= 0 {
		o.hand(protocol.EnvTLSFD, r.tls)
	}
	o.set(protocol.EnvSlot, strconv.Itoa(w.Slot))
	o.set(protocol.EnvPlace, strconv.Itoa(w.Place))
	o.set(protocol.EnvWorkerID, strconv.Itoa(w.ID))
	o.set(protocol.EnvGeneration, strconv.Itoa(w.Generation))
	o.set(protocol.EnvStopSignal, r.config.StopSignal.Name)
	o.set(protocol.EnvLimitRequests, strconv.Itoa(w.limit))
	for name, value := range limitsEnv(r.config) {
		o.set(name, strconv.FormatInt(value, 10))
	}
	if d := r.config.Watchdog; d > 0 {
		o.set(protocol.EnvWatchdog, strconv.FormatInt(d.Microseconds(), 10))
	}
	return o, nil
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

// milliseconds rounds up: what is short is not 0, which is no limit.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
