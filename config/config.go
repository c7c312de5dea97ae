package config

import (
	"path/filepath"
	"time"
)

// Config is the complete configuration of one master. Load makes it; it is not
// changed afterwards and may be read from several goroutines.
type Config struct {
	// Command is the program of the workers and its arguments. The first word
	// is as it was written, which is also what the worker sees as argv[0];
	// [Config.Resolve] says which file that is. Never empty after Load.
	Command []string
	// Name names this master to people: logs, runtime files. Load fills it in
	// from the base name of the command.
	Name string
	// Bind holds the addresses to listen on, in the order in which workers get
	// them: "host:port", "[::1]:80", ":8000", "unix:/path" (absolute after
	// Load), "fd://3". Their syntax has been checked.
	Bind []string
	// BindSlot holds addresses with "{slot}": listeners of its own for each slot, which
	// workers get after those of Bind. Unix paths are absolute after Load.
	BindSlot []string
	// Workers is how many workers to run, or to run at least: 0 only with WorkersMax.
	Workers Workers
	// WorkerClass is how connections come to a worker, "inherit" or "proxy".
	WorkerClass string
	// WorkerConnections is how many requests a cooperating worker takes at a
	// time, connections that have not yet sent their first included; 0: no limit.
	WorkerConnections int
	// Surge is how many processes may exist beyond the workers.
	Surge Surge
	// StartParallel is how many workers may boot at the same time; 0: all.
	StartParallel int
	// Preload has the command be started once, as the loader that makes all workers.
	Preload bool

	// Timeout is how long a request may go without progress until its response
	// begins; 0: no limit.
	Timeout time.Duration
	// StreamTimeout is the same from then on. Automatic, its Duration is that of
	// Timeout; 0: no limit.
	StreamTimeout AutoDuration
	// UpgradeTimeout is the same for an upgraded connection; 0: no limit.
	UpgradeTimeout time.Duration
	// RequestTimeout bounds a request from its start to its end, whatever its
	// progress; 0: no limit.
	RequestTimeout time.Duration
	// GracefulTimeout is how long requests in flight may still take when the
	// whole fleet stops; 0: they are cut at once.
	GracefulTimeout time.Duration
	// DrainTimeout is the same as GracefulTimeout for one worker that is replaced. Its Duration
	// holds also when it is automatic.
	DrainTimeout AutoDuration
	// StartupTimeout is the time from spawn to ready; above 0.
	StartupTimeout time.Duration
	// Watchdog is how long a worker may be silent before it counts as stuck; 0:
	// for ever.
	Watchdog time.Duration
	// BacklogTimeout is the time in the queue after which a cooperating worker
	// answers a request with 503; 0: no limit.
	BacklogTimeout time.Duration
	// KeepAlive is how long an idle keep-alive connection is kept; 0: there is
	// no keep-alive.
	KeepAlive time.Duration
	// Ready says when a worker counts as ready.
	Ready Ready

	// MaxRequests is after how many requests a worker is replaced; 0: never.
	MaxRequests int
	// MaxRequestsJitter is added to MaxRequests, 0 to so much, drawn anew for every worker.
	MaxRequestsJitter int

	// MaxWorkerLifetime is how long after it became ready a worker is replaced; 0: never.
	MaxWorkerLifetime time.Duration
	// MaxWorkerLifetimeJitter is added to MaxWorkerLifetime in the same way.
	MaxWorkerLifetimeJitter time.Duration
	// MaxWorkerMemory is the memory of its process tree above which a worker is
	// replaced gracefully; 0: no limit.
	MaxWorkerMemory Size
	// MaxWorkerMemoryHard is the same for killing it at once; 0: no limit;
	// SizeAuto: see [Config.Memory]. Else above MaxWorkerMemory.
	MaxWorkerMemoryHard Size
	// WorkerMemory is what one worker needs, by which the memory limit of the
	// cgroup bounds automatic Workers, WorkersMax, and whoever is started beyond
	// those there are to be; 0: the latter is measured, and the others are not bounded.
	WorkerMemory Size

	// MaxFailures is after how many failures in a row a worker is replaced, if others
	// have none; 0: never.
	MaxFailures int

	// WorkersMax is how many workers there may be, of which Workers is the least then; 0:
	// as many as Workers.
	WorkersMax int
	// TargetInFlight is how many requests in flight one worker is to have; above 0 if
	// and only if WorkersMax is.
	TargetInFlight int
	// IdleTimeout is after what time a worker beyond Workers ends that was not needed.
	IdleTimeout time.Duration

	// Spares is how many workers are kept ready that accept nothing until one is missing.
	Spares int

	// StopSignal asks a worker to finish its requests and exit.
	StopSignal Signal
	// AbortSignal asks a stuck worker for its stacks, shortly before SIGKILL.
	// It is never the same as StopSignal.
	AbortSignal Signal

	// Backlog is the length of each listening queue; above 0. The kernel cuts
	// it to net.core.somaxconn.
	Backlog int
	// Chdir is the working folder of the workers, absolute but with its
	// symlinks unresolved; "": Dir.
	Chdir string
	// User and Group are what workers run as, a name or a number; "": as the
	// master.
	User, Group string
	// Umask is the file mode creation mask of the workers.
	Umask Umask
	// PIDFile is where the master writes its pid, absolute; "": nowhere.
	PIDFile string
	// EnvFile is the file of further variables for workers, absolute; "": none.
	// Load has read it.
	EnvFile string
	// EnvPass says which variables of the master's environment workers get: names,
	// and names with a * for any text at the beginning, the end or both; nil: all,
	// as in the state of a version that knew no such thing.
	EnvPass []string
	// Env holds variables for workers. "{slot}", "{place}", "{id}" and the names of
	// resources in the values are still to be filled in: see [Config.Environ].
	Env map[string]string
	// Resources are leased one of each to every worker: see [Config.Leases].
	Resources Resources

	// Restart rules crash loops.
	Restart Restart
	// Log rules the master's own log and the access log.
	Log Log
	// Control rules how a running master is asked and told things.
	Control Control
	// Shutdown rules the stop of the master.
	Shutdown Shutdown
	// Admin rules probes, metrics and the page for operators.
	Admin Admin
	// TLS is what cooperating workers serve HTTPS with; the zero value: HTTP.
	TLS TLS
	// Incidents rules what becomes of incidents.
	Incidents Incidents
	// Limits is what the kernel lets a worker use.
	Limits Limits
	// Proxy rules workers of the class "proxy".
	Proxy Proxy

	// Reload says that the fleet follows the files of Watch, for development.
	Reload bool
	// Watch says what to do about changed files if Reload is set.
	Watch Watch

	// Dir is the folder gosuper was started in, absolute. It is not a key.
	Dir string

	// written is how the keys were written that somebody set: "--timeout",
	// "GOSUPER_TIMEOUT", "timeout".
	written map[string]string
	// used are the variables of a hosting platform that said something: what
	// they are meant for is done, and workers do not get them.
	used []string
	// fileEnv is what EnvFile said when it was loaded.
	fileEnv map[string]string
	// certPEM and keyPEM are what the files of TLS said when they were loaded, as
	// far as it matters.
	certPEM, keyPEM []byte
	started         started
}

// started is what the master was started with, as far as programs are looked for
// there.
type started struct {
	searchPath string // PATH
	virtualEnv string // VIRTUAL_ENV
	program    string // of the master, absolute; "": unknown
}

// Restart is the table [restart]. The first crash of a slot respawns at once;
// backoff starts with the second within ResetAfter, counted from ready.
type Restart struct {
	// BackoffMin is the first delay; above 0. Each further one is twice the one
	// before, up to BackoffMax, and drawn from between half of that and the whole.
	BackoffMin time.Duration
	// BackoffMax is the longest delay; at least BackoffMin.
	BackoffMax time.Duration
	// ResetAfter is how long a worker must have been ready for its slot's
	// crashes to be forgotten, and in a rollout those of all new workers;
	// 0: they never are.
	ResetAfter time.Duration
	// StartupAttempts is how many boots of one slot may fail in a row before
	// anything was ever ready; at least 1. As many end a rollout, of one slot
	// or of all: boots that fail with none between them that succeeds, or
	// crashes within ResetAfter with no worker between them that stays so long.
	// One boot is enough if the worker exits with status 78 (EX_CONFIG).
	StartupAttempts int
}

// Log is the table [log].
type Log struct {
	// Level is the least severe level that is written: "debug", "info", "warn"
	// or "error".
	Level string
	// Format is "console", "json", or "auto": console on a terminal.
	Format string
	// File is where the log goes: "-" is stderr, [Stdout] that, all else an
	// absolute path.
	File string
	// AccessFile is where the access log goes: "-" is stdout, [Stderr] that, all
	// else an absolute path; "": there is none.
	AccessFile string
	// AccessFormat is "combined" or "json".
	AccessFormat string
	// Workers is how what workers write is passed on: "raw", or [Wrapped].
	Workers string
}

// Wrapped is the value of log.workers for lines that say whose they are.
const Wrapped = "wrapped"

// Control is the table [control].
type Control struct {
	// Socket is the path of the control socket, absolute; "auto": in the runtime
	// folder of the user, under the name of the master; "off": there is none.
	Socket string
}

// Shutdown is the table [shutdown].
type Shutdown struct {
	// Delay is how long the master goes on serving after it was told to stop
	// gracefully, while it already says that it is not ready; 0: not at all.
	Delay time.Duration
}

// Limits is the table [limits]. Resource limits are both soft and hard.
type Limits struct {
	// NoFile is how many descriptors a worker may have open; 0: the limit that
	// gosuper was started with.
	NoFile int
	// Core is the size of its core file; 0: it has none; -1: as the master.
	Core Size
	// AS is the address space of each of its processes; 0: as the master.
	AS Size
	// Nice is its nice value, -20 to 19; 0: as the master.
	Nice int
	// OOMScoreAdj is how readily the kernel kills it when memory runs out, -1000
	// to 1000; 0: as the master.
	OOMScoreAdj int
	// NoNewPrivs keeps it from gaining privileges by an exec. Automatic, it is On
	// where User is set and the system has such a thing.
	NoNewPrivs AutoBool
	// Outlive lets the processes that it leaves behind outside its process group
	// outlive it, and the master.
	Outlive bool
}

// Watch is the table [watch].
type Watch struct {
	// Paths are the folders, watched with all below them, and files to watch. See
	// [Config.Watched].
	Paths []string
	// Build is a program and its arguments that is run, without a shell and in
	// the folder of the workers, before each reload; empty: there is nothing to
	// build. See [Config.ResolveBuild].
	Build []string
}

// Default returns the configuration of an empty file: complete but for its
// command.
func Default() *Config {
	return &Config{
		Bind:              []string{"127.0.0.1:8000"},
		Workers:           Workers{Auto: true},
		WorkerClass:       classInherit,
		WorkerConnections: 1000,
		Surge:             Surge{N: 1},
		Timeout:           120 * time.Second,
		StreamTimeout:     AutoDuration{Duration: 120 * time.Second, Auto: true},
		GracefulTimeout:   30 * time.Second,
		DrainTimeout:      AutoDuration{Duration: 120 * time.Second, Auto: true},
		StartupTimeout:    60 * time.Second,
		KeepAlive:         5 * time.Second,
		IdleTimeout:       5 * time.Minute,
		Ready:             Ready{Mode: ReadyAuto, After: time.Second},
		StopSignal:        mustSignal("SIGTERM"),
		AbortSignal:       mustSignal("SIGABRT"),
		Backlog:           2048,
		EnvPass:           []string{"*"},
		Restart: Restart{
			BackoffMin:      100 * time.Millisecond,
			BackoffMax:      30 * time.Second,
			ResetAfter:      10 * time.Second,
			StartupAttempts: 3,
		},
		Log:       Log{Level: "info", Format: "auto", File: "-", AccessFormat: "combined", Workers: "raw"},
		Incidents: Incidents{Keep: 64},
		Limits:    Limits{Core: -1, NoNewPrivs: AutoBool{Auto: true}},
		Proxy:     Proxy{To: "port", ConnectTimeout: 5 * time.Second},
		Watch:     Watch{Paths: []string{"."}},
		Control:   Control{Socket: "auto"},
	}
}

// workDir is the working folder of the workers before symlinks are followed.
func (c *Config) workDir() string {
	if c.Chdir != "" {
		return c.Chdir
	}
	return c.Dir
}

// WatchedOnly returns the ends of the names of the files that count among those
// watched, nil for all: for a Python application its sources, unless the watched
// paths were chosen.
func (c *Config) WatchedOnly() []string {
	if c.IsApplication() && !c.Sets("watch.paths") {
		return []string{".py"}
	}
	return nil
}

// Watched returns Watch.Paths, absolute.
func (c *Config) Watched() []string {
	paths := make([]string, len(c.Watch.Paths))
	for i, path := range c.Watch.Paths {
		paths[i] = c.absolute(path)
	}
	return paths
}

// absolute returns path as seen from the working folder of the workers, in
// which relative paths of the configuration start.
func (c *Config) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(c.workDir(), path)
}
