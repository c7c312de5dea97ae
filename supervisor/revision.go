//go:build linux

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/files"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/sealed"
)

// revision is one configuration that passed validation, with all that its
// workers need: what the command means today, who they run as, where they
// listen.
type revision struct {
	number     int                 `state:"number"`
	config     *config.Config      `state:"config"`
	warnings   []string            `state:"-"`
	resolved   config.Resolved     `state:",inline"`
	executable files.Imprint       `state:"executable"` // as it was when the revision was made
	workers    int                 `state:"workers"`
	auto       string              `state:"auto"`  // why workers means that number; "": it is written
	tight      string              `state:"tight"` // why even that number is too large; "": it is not
	memory     config.Memory       `state:",inline"`
	credential *process.Credential `state:"credential"`
	identity   []string            `state:"identity"` // HOME, USER and LOGNAME of the credential
	sockets    *socket.Set         `state:"set"`
	admin      *socket.Set         `state:"admin"`  // of the admin listener; nil: none
	tls        int                 `state:"tls,fd"` // descriptor of certificate and key; -1: none
	unserved   socket.Unserved     `state:"-"`
	plain      bool                `state:"plain"`   // the warning about what a plain worker cannot do was given
	tooLow     bool                `state:"too_low"` // the warning about max_worker_memory was given
}

// checkLogs says whether the files of the logs could be written, which are opened
// when the configuration is accepted.
func checkLogs(c config.Log) error {
	if err := accesslog.Check(c.File); err != nil && c.File != config.Stdout {
		return fmt.Errorf("cannot open the log: %w", err)
	}
	if c.AccessFile == "" {
		return nil
	}
	if err := accesslog.Check(c.AccessFile); err != nil {
		return fmt.Errorf("cannot open the access log: %w", err)
	}
	return nil
}

// openTLS copies what the files of [tls] said to where workers can read it.
func (r *revision) openTLS() (err error) {
	if text := r.config.TLSPEM(); len(text) > 0 {
		r.tls, err = sealed.New("gosuper-tls", text)
	}
	return err
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
	r := &revision{config: c, tls: -1}
	r.workers, r.auto, r.tight = c.CountWorkers(os.DirFS("/"))
	r.memory = c.Memory(os.DirFS("/"), r.workers)
	var err error
	if r.resolved, err = c.Resolve(); err != nil {
		return nil, err
	}
	if r.executable, err = files.ImprintOf(r.resolved.Path); err != nil {
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

// addresses are those of bind.
func (r *revision) addresses() ([]socket.Address, error) {
	var addresses []socket.Address
	for _, text := range r.config.Bind {
		a, err := socket.Parse(text)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, a.In(r.resolved.Dir))
	}
	return addresses, nil
}

// held are the sockets there are, which are taken over where the addresses are the
// same.
func (s *Supervisor) held() []*socket.Set {
	return append(s.revisions.sockets(), s.sockets.Leaving()...)
}

// anybody may connect to a unix socket of bind by default, as with systemd's
// SocketMode=, uvicorn and a port on loopback: who may not is kept out by the
// folder, or by umask. Otherwise a proxy of another user, which all are, is refused.
const anybody = 0o666

// socketOptions are the backlog, and who may connect to unix sockets.
func (r *revision) socketOptions() socket.Options {
	o := socket.Options{Backlog: r.config.Backlog, Insist: r.config.Sets("backlog"), Mode: anybody}
	if r.config.Umask.Set {
		o.Mode = 0o777 &^ fs.FileMode(r.config.Umask.Mask)
	}
	if r.credential != nil {
		o.UID, o.GID = int(r.credential.Uid), int(r.credential.Gid)
	}
	return o
}

// settings is what the revision asks of the brain.
func (r *revision) settings() fleet.Settings {
	c := r.config
	f := fleet.Settings{
		Command:         strings.Join(c.Command, "\x00"),
		Workers:         r.workers,
		Surge:           fleet.Surge{Count: c.Surge.N},
		StartParallel:   c.StartParallel,
		Preload:         c.Preload,
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

// revisions are those that workers have or may get, by number.
type revisions struct {
	all     map[int]*revision `state:"revisions,list=number"`
	current *revision         `state:"-"`    // in force
	last    int               `state:"last"` // number of the newest
}

// add makes a revision known, so that workers of it can be spawned.
func (r *revisions) add(one *revision) {
	r.all[one.number] = one
	r.last = one.number
}

// drop forgets those that no worker can have any more, which it returns.
func (r *revisions) drop(live map[int]bool) (dropped []*revision) {
	for n, one := range r.all {
		if !live[n] {
			delete(r.all, n)
			dropped = append(dropped, one)
		}
	}
	return dropped
}

// sockets are those that workers may have.
func (r *revisions) sockets() (all []*socket.Set) {
	for _, one := range r.all {
		all = append(all, one.sockets)
	}
	return all
}

// logAccess says whether workers may write to the access log.
func (r *revisions) logAccess() bool {
	for _, one := range r.all {
		if one.config.Log.AccessFile != "" {
			return true
		}
	}
	return false
}

// adopt makes the revision known, and wants its sockets.
func (s *Supervisor) adopt(r *revision) {
	s.revisions.add(r)
	s.sockets.Want(r.sockets)
}

// forget drops revisions that no worker can have any more, with the sockets
// that nobody else has.
func (s *Supervisor) forget() {
	if len(s.revisions.all) == 1 {
		return // which is in force
	}
	for _, r := range s.revisions.drop(s.fleet.Revisions()) {
		delete(s.loaders.ended, r.number)
		s.discard(r)
	}
	if !s.revisions.logAccess() {
		s.files.CloseAccess()
	}
}

// discard gives back what a revision has and no other shares.
func (s *Supervisor) discard(r *revision) {
	r.closeTLS()
	s.sockets.Drop(r.sockets, s.revisions.sockets())
	s.closeAdmin(r.admin)
}

// closeAdmin closes those of the sockets that no revision has any more.
func (s *Supervisor) closeAdmin(sockets *socket.Set) {
	for _, other := range s.revisions.all {
		sockets = sockets.Without(other.admin)
	}
	s.endpoints.CloseAdmin(sockets)
}
