//go:build linux

package revision

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/files"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/guard"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/outfit"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/worker/scoreboard"
	"github.com/gosuper/gosuper/worker/sealed"
)

// Revision is one configuration that passed validation, with all that its
// workers need: what the command means today, who they run as, where they
// listen.
type Revision struct {
	Number     int                 `state:"number"`
	Config     *config.Config      `state:"config"`
	Warnings   []string            `state:"-"`
	Resolved   config.Resolved     `state:",inline"`
	executable files.Imprint       `state:"executable"` // as it was when the revision was made
	Workers    int                 `state:"workers"`
	auto       string              `state:"auto"`    // why workers means that number; "": it is written
	tight      string              `state:"tight"`   // why even that number is too large; "": it is not
	Machine    config.Machine      `state:"machine"` // as it was when Workers and Memory were found out
	Memory     config.Memory       `state:",inline"`
	Credential *process.Credential `state:"credential"`
	Identity   []string            `state:"identity"` // HOME, USER and LOGNAME of the credential
	Sockets    *socket.Set         `state:"set"`
	Admin      *socket.Set         `state:"admin"`  // of the admin listener; nil: none
	TLS        int                 `state:"tls,fd"` // descriptor of certificate and key; -1: none
	Unserved   socket.Unserved     `state:"-"`
	plain      bool                `state:"plain"`     // the warning about what a plain worker cannot do was given
	tooLow     bool                `state:"too_low"`   // the warning about max_worker_memory was given
	elsewhere  bool                `state:"elsewhere"` // the warning about a server that binds itself was given
}

// openTLS copies what the files of [tls] said to where workers can read it.
func (r *Revision) openTLS() (err error) {
	if text := r.Config.TLSPEM(); len(text) > 0 {
		r.TLS, err = sealed.New("gosuper-tls", text)
	}
	return err
}

// CloseTLS gives that copy up.
func (r *Revision) CloseTLS() {
	if r.TLS >= 0 {
		unix.Close(r.TLS)
		r.TLS = -1
	}
}

// Resolve finds out what the configuration means here and now, but for its
// addresses.
func Resolve(c *config.Config) (*Revision, error) {
	r := &Revision{Config: c, TLS: -1, Machine: config.ReadMachine(os.DirFS("/"))}
	r.Workers, r.auto, r.tight = c.CountWorkers(r.Machine)
	r.Fit(r.Workers)
	var err error
	if r.Resolved, err = c.Resolve(); err != nil {
		return nil, err
	}
	if r.executable, err = files.ImprintOf(r.Resolved.Path); err != nil {
		return nil, &config.Error{Key: "command", Msg: err.Error()}
	}
	if e, ok := errors.AsType[*process.LimitError](limits(c).Check()); ok {
		return nil, &config.Error{Key: "limits." + e.Limit, Msg: e.Err.Error()}
	}
	if r.Credential, r.Identity, err = process.LookupCredential(c.User, c.Group); err != nil {
		return nil, notThatUser(c, err)
	}
	return r, nil
}

// Fit finds out what the memory of the machine means for so many workers, or as many more
// as the configuration allows.
func (r *Revision) Fit(workers int) {
	r.Memory = r.Config.Memory(r.Machine, max(workers, r.Config.WorkersMax, 1))
}

// Room is for how many workers the machine has memory; 0: that is not known.
func (r *Revision) Room() int { return r.Config.Room(r.Machine) }

// Follows says whether something about the workers follows from the limits of the machine.
func (r *Revision) Follows() bool {
	c := r.Config
	return !c.Workers.Fixed() || c.MaxWorkerMemoryHard == config.SizeAuto || c.WorkersMax > 0 && c.WorkerMemory > 0
}

// Move takes note of what the limits of the machine are by now, where there are so many
// workers. Where others follow from them for each, it says so, and reports it.
func (r *Revision) Move(m config.Machine, workers int, log *zap.Logger) (others bool) {
	before := r.Memory.Hard
	if r.Machine != m {
		r.Machine = m
		if r.Config.MaxWorkerMemoryHard == config.SizeAuto {
			r.Fit(workers)
		}
	}
	if others = r.Memory.Hard != before; others {
		r.explainMemory(log)
	}
	return others
}

// Recount counts the workers anew, where their number follows from the limits of the
// machine, and returns whether there are to be others than before. Then it says why.
func (r *Revision) Recount(log *zap.Logger) (others bool) {
	if r.Config.Workers.Fixed() {
		return false
	}
	before := r.Workers
	r.Workers, r.auto, r.tight = r.Config.CountWorkers(r.Machine)
	if r.Workers == before {
		return false
	}
	r.explain(log)
	return true
}

// Prepare makes the revision of a reload, but for what it has to bind.
func Prepare(c *config.Config) (*Revision, error) {
	r, err := Resolve(c)
	if err == nil {
		err = r.permitted()
	}
	if err == nil {
		err = checkLogs(c.Log)
	}
	if err == nil {
		err = r.openTLS()
	}
	if err != nil {
		return nil, err
	}
	return r, nil
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

// Addresses are those of bind, or of what socket units passed, and those of bind_slot for
// the slots.
func (r *Revision) Addresses(passed *socket.Set, slots ...int) (all socket.Addresses, err error) {
	if all.Shared = passed.Addresses(); passed == nil {
		if all.Shared, err = r.parse(r.Config.Bind); err != nil {
			return all, err
		}
	}
	all.Slots, err = r.SlotAddresses(slots...)
	return all, err
}

// FirstSlots are the slots that so many workers begin in.
func FirstSlots(workers int) (slots []int) {
	for i := range workers {
		slots = append(slots, i)
	}
	return slots
}

// Binds are for people where workers listen: the addresses that the shared sockets are
// really bound to, and bind_slot.
func (r *Revision) Binds() []string {
	return append(r.Sockets.Shared().URLs(), r.Config.BindSlot...)
}

// SlotAddresses are those of bind_slot.
func (r *Revision) SlotAddresses(slots ...int) (map[int][]socket.Address, error) {
	all := map[int][]socket.Address{}
	for _, slot := range slots {
		addresses, err := r.parse(r.Config.SlotAddresses(slot))
		if err != nil {
			return nil, err
		}
		all[slot] = addresses
	}
	return all, nil
}

func (r *Revision) parse(texts []string) (addresses []socket.Address, err error) {
	for _, text := range texts {
		a, err := socket.Parse(text)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, a.In(r.Resolved.Dir))
	}
	return addresses, nil
}

// anybody may connect to a unix socket of bind by default, as with systemd's
// SocketMode=, uvicorn and a port on loopback: who may not is kept out by the
// folder, or by umask. Otherwise a proxy of another user, which all are, is refused.
const anybody = 0o666

// SocketOptions are the backlog, and who may connect to unix sockets.
func (r *Revision) SocketOptions() socket.Options {
	o := socket.Options{Backlog: r.Config.Backlog, Insist: r.Config.Sets("backlog"), Mode: anybody}
	if r.Config.Umask.Set {
		o.Mode = 0o777 &^ fs.FileMode(r.Config.Umask.Mask)
	}
	if r.Credential != nil {
		o.UID, o.GID = int(r.Credential.Uid), int(r.Credential.Gid)
	}
	return o
}

// Settings is what the revision asks of the brain.
func (r *Revision) Settings() fleet.Settings {
	c := r.Config
	f := fleet.Settings{
		Command:         strings.Join(c.Command, "\x00"),
		Workers:         r.Workers,
		WorkersMax:      c.WorkersMax,
		InFlight:        c.TargetInFlight,
		IdleTimeout:     c.IdleTimeout,
		Surge:           fleet.Surge{Count: c.Surge.N},
		Spares:          c.Spares,
		MemoryBound:     true,
		Private:         len(c.BindSlot) > 0,
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
	for _, lease := range c.Leases() {
		f.Leases = append(f.Leases, lease)
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

// Limits are the times after which something is wrong with a worker.
func (r *Revision) Limits() guard.Limits {
	c := r.Config
	return guard.Limits{
		Limits:   scoreboard.Limits{Timeout: c.Timeout, Stream: c.StreamTimeout.Duration, Upgrade: c.UpgradeTimeout, Request: c.RequestTimeout},
		Watchdog: c.Watchdog, Failures: c.MaxFailures,
	}
}

// DrawRequests is a worker's own max_requests; 0: none.
func (r *Revision) DrawRequests() int {
	if r.Config.MaxRequests == 0 {
		return 0
	}
	return r.Config.MaxRequests + rand.IntN(r.Config.MaxRequestsJitter+1)
}

// WarnOverwritten says, by and by, if the executable is not what it was when the revision
// was made, which is in force again.
func (r *Revision) WarnOverwritten(l *loop.Loop, log *zap.Logger) {
	l.Send(func() loop.Work {
		return func() func() {
			overwritten := r.overwritten()
			return func() {
				if overwritten {
					log.Warn("the executable was overwritten: workers started from now on run the new file; deploy to versioned folders behind a symlink", zap.String("path", r.Resolved.Path))
				}
			}
		}
	})
}

// overwritten takes as long as the file system does.
func (r *Revision) overwritten() bool {
	now, err := files.ImprintOf(r.Resolved.Path)
	return err != nil || now != r.executable
}

// Spec is how a process of the command is made that gets the outfit, as the worker that
// it will be, if any. executed is called by another goroutine when the command runs, or
// never will.
func (r *Revision) Spec(o *outfit.Outfit, worker config.Worker, executed func()) process.Spec {
	path, argv := r.Config.Launch(r.Resolved, worker)
	spec := process.Spec{
		Path: path, Argv: argv, Dir: r.Resolved.Dir,
		Env: o.Env, Files: o.Files, Credential: r.Credential,
		Limits: limits(r.Config), Executed: executed,
	}
	if r.Config.IsProxy() {
		spec.Limits.AS = 0 // that of the program, which the front sets
	}
	if r.Config.Umask.Set {
		spec.Umask = &r.Config.Umask.Mask
	}
	return spec
}

// limits are those that the kernel holds a worker to.
func limits(c *config.Config) process.Limits {
	l := process.Limits{
		NoFile: uint64(c.Limits.NoFile), AS: uint64(c.Limits.AS),
		Nice: c.Limits.Nice, OOMScoreAdj: c.Limits.OOMScoreAdj, NoNewPrivs: c.Limits.NoNewPrivs.On,
	}
	if core := uint64(c.Limits.Core); c.Limits.Core >= 0 {
		l.Core = &core
	}
	return l
}
