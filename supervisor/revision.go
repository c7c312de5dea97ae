package supervisor

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// revision is one configuration that passed validation, with all that its
// workers need: what the command means today, who they run as, where they
// listen.
type revision struct {
	number     int
	config     *config.Config
	warnings   []string
	resolved   config.Resolved
	executable imprint // as it was when the revision was made
	workers    int
	auto       string // why "auto" means that number
	tight      string // why even that number is too large; "": it is not
	memory     config.Memory
	credential *process.Credential
	identity   []string // HOME, USER and LOGNAME of the credential
	sockets    *socket.Set
	admin      *socket.Set // of the admin listener; nil: none
	tls        int         // descriptor of certificate and key; -1: none
	plain      bool        // the warning about what a plain worker cannot do was given
	tooLow     bool        // the warning about max_worker_memory was given
}

// prepare makes a revision of a configuration, or changes nothing.
func (s *Supervisor) prepare(c *config.Config, warnings []string) (*revision, error) {
	r, err := resolve(c)
	if err != nil {
		return nil, err
	}
	r.number, r.warnings = s.last+1, warnings
	if err := s.checkFiles(c); err != nil {
		return nil, err
	}
	if err := s.openAccessLog(r); err != nil {
		return nil, err
	}
	if text := c.TLSPEM(); len(text) > 0 {
		if r.tls, err = sealed("gosuper-tls", text); err != nil {
			return nil, err
		}
	}
	if r.sockets, err = s.bind(r); err != nil {
		r.closeTLS()
		return nil, err
	}
	if err = s.bindAdmin(r); err != nil {
		s.discard(r)
		return nil, err
	}
	return r, nil
}

// checkFiles says whether the files of the master itself could be taken, which
// happens when the configuration is accepted.
func (s *Supervisor) checkFiles(c *config.Config) error {
	if s.options.Logs != nil {
		if err := s.options.Logs.Check(c.Log); err != nil {
			return err
		}
	}
	if s.current == nil {
		return nil
	}
	if err := s.checkControl(c); err != nil {
		return err
	}
	if s.pidfile != nil && s.pidfile.path == c.PIDFile {
		return nil
	}
	p, err := openPidfile(c.PIDFile)
	p.close()
	return err
}

// openAccessLog makes sure that workers of the revision have an access log to
// write to. Its file changes when the revision is accepted.
func (s *Supervisor) openAccessLog(r *revision) (err error) {
	if path := r.config.Log.AccessFile; path != "" && s.access == nil {
		s.access, err = accesslog.Open(path, s.accessTrouble)
	}
	return err
}

func (s *Supervisor) accessTrouble(err error) {
	s.log.Warn("lines of the access log are lost", zap.Error(err))
}

func (r *revision) closeTLS() {
	if r.tls >= 0 {
		unix.Close(r.tls)
		r.tls = -1
	}
}

// resolve finds out what the configuration means here and now, but for its
// addresses.
func resolve(c *config.Config) (*revision, error) {
	r := &revision{config: c, workers: c.Workers.N, tls: -1}
	if c.Workers.Auto {
		r.workers, r.auto, r.tight = c.AutoWorkers(os.DirFS("/"))
	}
	r.memory = c.Memory(os.DirFS("/"), r.workers)
	var err error
	if r.resolved, err = c.Resolve(); err != nil {
		return nil, err
	}
	if r.executable, err = imprintOf(r.resolved.Path); err != nil {
		return nil, &config.Error{Key: "command", Msg: err.Error()}
	}
	if e, ok := errors.AsType[*process.LimitError](limitsOfProcess(c).Check()); ok {
		return nil, &config.Error{Key: "limits." + e.Limit, Msg: e.Err.Error()}
	}
	r.credential, r.identity, err = process.LookupCredential(c.User, c.Group)
	if err != nil {
		key := "group"
		if _, _, userErr := process.LookupCredential(c.User, ""); userErr != nil {
			key = "user"
		}
		return nil, &config.Error{Key: key, Msg: err.Error()}
	}
	return r, nil
}

// bind opens the addresses of a revision. Sockets of the revisions before it
// are taken over where the addresses are the same. Sockets that systemd passed
// win over bind, at the start and for good.
func (s *Supervisor) bind(r *revision) (*socket.Set, error) {
	if s.current == nil {
		return s.bindFirst(r)
	}
	if s.activated != nil {
		return s.activated, nil
	}
	return s.open(r)
}

// open opens what bind says. Sockets in held are taken over as well.
func (s *Supervisor) open(r *revision, held ...*socket.Set) (*socket.Set, error) {
	var addresses []socket.Address
	for _, text := range r.config.Bind {
		a, err := socket.Parse(text)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, a.In(r.resolved.Dir))
	}
	for _, other := range s.revisions {
		held = append(held, other.sockets)
	}
	if s.leaving != nil {
		held = append(held, s.leaving.sockets)
	}
	return socket.Open(addresses, r.socketOptions(), held...)
}

// socketOptions are the backlog, and who may connect to unix sockets.
func (r *revision) socketOptions() socket.Options {
	o := socket.Options{Backlog: r.config.Backlog}
	if r.config.Umask.Set {
		o.Mode = 0o777 &^ fs.FileMode(r.config.Umask.Mask)
	}
	if r.credential != nil {
		o.UID, o.GID = int(r.credential.Uid), int(r.credential.Gid)
	}
	return o
}

// adopt makes the revision known, so that workers of it can be spawned.
func (s *Supervisor) adopt(r *revision) {
	s.revisions[r.number] = r
	s.last = r.number
	if s.leaving != nil {
		s.leaving.sockets = s.leaving.sockets.Without(r.sockets)
	}
}

// settings is what the revision asks of the brain.
func (r *revision) settings() fleet.Settings {
	c := r.config
	f := fleet.Settings{
		Command:         strings.Join(c.Command, "\x00"),
		Workers:         r.workers,
		Surge:           fleet.Surge{Count: c.Surge.N},
		StartParallel:   c.StartParallel,
		ReadyAfter:      c.Ready.After,
		StopDelay:       c.Shutdown.Delay,
		GracefulTimeout: c.GracefulTimeout,
		DrainTimeout:    c.DrainTimeout.Duration,
		StartupTimeout:  c.StartupTimeout,
		Lifetime:        c.MaxWorkerLifetime,
		LifetimeJitter:  c.MaxWorkerLifetimeJitter,
		BackoffMin:      c.Restart.BackoffMin,
		BackoffMax:      c.Restart.BackoffMax,
		ResetAfter:      c.Restart.ResetAfter,
		StartupAttempts: c.Restart.StartupAttempts,
	}
	if c.Surge.Percent {
		f.Surge = fleet.Surge{Percent: c.Surge.N}
	}
	switch c.Ready.Mode {
	case config.ReadyNotify:
		f.Ready = fleet.ReadyNotify
	case config.ReadyAfter:
		f.Ready = fleet.ReadyAlive
	}
	return f
}

// forget drops revisions that no worker can have any more, with the sockets
// that nobody else has.
func (s *Supervisor) forget() {
	if len(s.revisions) == 1 {
		return // which is in force
	}
	live := s.fleet.Revisions()
	for n, r := range s.revisions {
		if live[n] {
			continue
		}
		delete(s.revisions, n)
		s.discard(r)
	}
}

// discard gives back what a revision has and no other shares.
func (s *Supervisor) discard(r *revision) {
	r.closeTLS()
	orphaned := r.sockets
	for _, other := range s.revisions {
		orphaned = orphaned.Without(other.sockets)
	}
	if s.leaving != nil {
		orphaned = orphaned.Without(s.leaving.sockets)
	}
	if err := orphaned.Close(); err != nil {
		s.log.Warn("cannot close a listener", zap.Error(err))
	}
	s.closeAdmin(r.admin)
}
