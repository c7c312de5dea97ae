package config

import (
	"slices"
	"time"
)

// keys is the table of keys. Keys of one table stand together, those of no
// table first.
var keys = slices.Concat([]Key{
	key(Key{
		Name: "command",
		Usage: "program of the workers and its arguments, or MODULE:ATTR and its options, a Python application that python -m gosuper serves; " +
			"node --import gosuper/register FILE runs a program of Node as a cooperating worker; COMMAND on the command line wins",
	},
		func(c *Config) *[]string { return &c.Command }, texts("list of strings", anyText, checkCommand)),
	key(Key{
		Name: "name", Flag: "name", Shorthand: "n", Placeholder: "NAME",
		Usage: "name of this master in logs and runtime files; empty: the base name of the command",
	},
		func(c *Config) *string { return &c.Name }, text("string", checkName)),
	key(Key{
		Name: "bind", Flag: "bind", Shorthand: "b", Placeholder: "ADDR", Repeat: true,
		Usage: `address to listen on: "host:port", "[::1]:80", ":8000", "unix:/path", "fd://3"; sockets passed by systemd win`,
	},
		func(c *Config) *[]string { return &c.Bind }, addresses(checkAddress, checkAddresses)),
	bindSlotKey,
	key(Key{
		Name: "workers", Flag: "workers", Shorthand: "w", Placeholder: "N|auto",
		Usage: "how many workers, or at least (see workers_max); cpu: the smallest CPU quota of the own cgroup and its ancestors, rounded up, 2 if there is none; auto: the same, at least 2; see worker_memory; " +
			"a quota or a limit that changes while it runs counts when something else is decided next",
	},
		func(c *Config) *Workers { return &c.Workers }, workersKind),
	key(Key{
		Name: "worker_class", Flag: "worker-class", Shorthand: "k", Placeholder: "CLASS",
		Usage: "how connections come to a worker: inherit: it accepts from the listening sockets that it inherits; proxy: gosuper serves, and " +
			"forwards by HTTP/1.1 to the program, which listens where {port} (also PORT) or {socket} in its command says, and for which all limits hold then; " +
			"it costs " + ProxyCosts,
	},
		func(c *Config) *string { return &c.WorkerClass }, text(`"inherit" or "proxy"`, checkClass)),
	key(Key{
		Name: "worker_connections", Flag: "worker-connections", Placeholder: "N",
		Usage: "requests a cooperating worker takes at a time, with connections that have not yet sent their first (for at most 1s); " +
			"past it the worker stops accepting and a free one takes the next; 0: no limit",
	},
		func(c *Config) *int { return &c.WorkerConnections }, count(0, maxCount)),
	key(Key{
		Name: "surge",
		Usage: "processes that may exist beyond the workers, draining ones included, where they fit into the memory limit of the own cgroup and its ancestors; " +
			"0, or without room: a worker stops before its replacement starts",
	},
		func(c *Config) *Surge { return &c.Surge }, surgeKind),
	key(Key{
		Name:  "start_parallel",
		Usage: "workers that may boot at the same time; 0: all",
	},
		func(c *Config) *int { return &c.StartParallel }, count(0, MaxWorkers)),
	key(Key{
		Name: "preload", Flag: "preload", Bool: true,
		Usage: "load the application once and fork all workers from it; the command must speak the loader protocol, as \"python -m gosuper\" does",
	},
		func(c *Config) *bool { return &c.Preload }, boolean),

	key(Key{
		Name: "timeout", Flag: "timeout", Shorthand: "t", Placeholder: "DUR",
		Usage: "a request without progress for so long is ended: with 504 if nothing of its response was sent, and its worker is " +
			"replaced if it is stuck; 0: no limit",
	},
		func(c *Config) *time.Duration { return &c.Timeout }, duration(0)),
	autoKey(Key{
		Name:  "stream_timeout",
		Usage: "the same once the response has begun: silence on a stream; timeout: as long as that; 0: no limit",
	},
		func(c *Config) *AutoDuration { return &c.StreamTimeout }, "timeout"),
	key(Key{
		Name:  "upgrade_timeout",
		Usage: "the same on an upgraded connection (WebSocket, hijacked); 0: no limit",
	},
		func(c *Config) *time.Duration { return &c.UpgradeTimeout }, duration(0)),
	key(Key{
		Name:  "request_timeout",
		Usage: "longest time for one request, streaming included, whatever its progress; 0: no limit",
	},
		func(c *Config) *time.Duration { return &c.RequestTimeout }, duration(0)),
	key(Key{
		Name: "graceful_timeout", Flag: "graceful-timeout", Placeholder: "DUR",
		Usage: "on stop, how long requests in flight may still take, for the whole fleet; 0: they are cut at once",
	},
		func(c *Config) *time.Duration { return &c.GracefulTimeout }, duration(0)),
	autoKey(Key{
		Name: "drain_timeout", Flag: "drain-timeout", Placeholder: "DUR|auto",
		Usage: "on replacement, the same for one worker; 0: at once; auto: the larger of timeout and graceful_timeout, " +
			"where a timeout of 0 counts as 2m, and 1s with reload",
	},
		func(c *Config) *AutoDuration { return &c.DrainTimeout }, "auto"),
	key(Key{
		Name: "startup_timeout", Flag: "startup-timeout", Placeholder: "DUR",
		Usage: "time from spawn to ready; EXTEND_TIMEOUT_USEC extends it",
	},
		func(c *Config) *time.Duration { return &c.StartupTimeout }, duration(aboveZero)),
	key(Key{
		Name:  "watchdog",
		Usage: "a worker that gave no sign of life (WATCHDOG=1, or the beat of its board) for so long is stuck; 0: none is needed",
	},
		func(c *Config) *time.Duration { return &c.Watchdog }, duration(0)),
	key(Key{
		Name: "backlog_timeout",
		Usage: "cooperating workers answer 503 to a request that waited longer in the queue; those of Node do not, " +
			"as Node does not tell how long one has waited, but behind a proxy it is kept; 0: no limit",
	},
		func(c *Config) *time.Duration { return &c.BacklogTimeout }, duration(0)),
	key(Key{
		Name: "keepalive", Flag: "keep-alive", Placeholder: "DUR",
		Usage: "how long cooperating workers keep idle connections; 0: no keep-alive; behind a proxy, set it above the proxy's idle limit",
	},
		func(c *Config) *time.Duration { return &c.KeepAlive }, duration(0)),
	key(Key{
		Name: "ready", Flag: "ready", Placeholder: "auto|notify|DUR",
		Usage: "when a worker is ready: notify: on READY=1; a duration: alive for so long; auto: notify for cooperating workers, else alive for 1s and waiting for connections on a socket it was given",
	},
		func(c *Config) *Ready { return &c.Ready }, readyKind),

	key(Key{
		Name: "max_requests", Flag: "max-requests", Placeholder: "N",
		Usage: "a cooperating worker is replaced after so many requests; 0: never",
	},
		func(c *Config) *int { return &c.MaxRequests }, count(0, maxCount)),
	key(Key{
		Name: "max_requests_jitter", Flag: "max-requests-jitter", Placeholder: "N",
		Usage: "added to max_requests: 0 to so many, drawn anew for every worker",
	},
		func(c *Config) *int { return &c.MaxRequestsJitter }, count(0, maxCount)),

	key(Key{
		Name:  "max_worker_lifetime",
		Usage: "a worker is replaced when it was ready for so long; 0: never",
	},
		func(c *Config) *time.Duration { return &c.MaxWorkerLifetime }, duration(0)),
	key(Key{
		Name:  "max_worker_lifetime_jitter",
		Usage: "added to max_worker_lifetime: 0 to so much, drawn anew for every worker",
	},
		func(c *Config) *time.Duration { return &c.MaxWorkerLifetimeJitter }, duration(0)),
	key(Key{
		Name: "max_worker_memory",
		Usage: "a worker that takes more (with all its processes; PSS, where pages that several share count in parts) " +
			"is replaced gracefully; 0: no limit",
	},
		func(c *Config) *Size { return &c.MaxWorkerMemory }, size(MiB, 0)),
	key(Key{
		Name: "max_worker_memory_hard",
		Usage: "a worker that takes more is killed within a second; auto: the smallest memory limit of the own cgroup and its ancestors, " +
			"less a reserve for the master, divided among the workers and those of surge and spares, so that memory never runs out for all of them, and anew when that changes; 0: no limit",
	},
		func(c *Config) *Size { return &c.MaxWorkerMemoryHard }, autoSize(MiB)),
	key(Key{
		Name: "worker_memory",
		Usage: "what one worker needs: where workers goes by the CPU quota, only as many start as fit, with those of surge and spares, into the memory limit " +
			"of the own cgroup and its ancestors; 0: memory does not count there, and what the workers take says whether one of surge or a spare fits",
	},
		func(c *Config) *Size { return &c.WorkerMemory }, size(MiB, 0)),

	key(Key{
		Name: "max_failures",
		Usage: "a cooperating worker that answers so many requests in a row with 5xx of its own is replaced, if others answer well meanwhile: " +
			"while all fail nobody is replaced, nor within restart.backoff_max of the last one; 0: never",
	},
		func(c *Config) *int { return &c.MaxFailures }, count(0, maxCount)),

	key(Key{
		Name: "workers_max", Flag: "workers-max", Placeholder: "N",
		Usage: "workers follow the demand: there are as many as target_in_flight makes of the requests in flight, from workers (which may be 0 then: " +
			"nobody runs until a connection waits) to so many; more at once, but never more than twice as many within 1s, nor more than resources or worker_memory have room for; 0: workers is fixed",
	},
		func(c *Config) *int { return &c.WorkersMax }, count(0, MaxWorkers)),
	key(Key{
		Name:  "target_in_flight",
		Usage: "requests in flight that one worker is to have, where workers_max is set; of plain workers they cannot be seen: one more starts when connections go on waiting, and none ends",
	},
		func(c *Config) *int { return &c.TargetInFlight }, count(0, maxCount)),
	key(Key{
		Name:  "idle_timeout",
		Usage: "a worker beyond workers ends that was not needed for so long, or for which worker_memory has no room any more, one at a time; with workers = 0 the last one too, but with preload the loader stays, and what it has loaded",
	},
		func(c *Config) *time.Duration { return &c.IdleTimeout }, duration(time.Second)),

	sparesKey,

	key(Key{
		Name: "reload", Flag: "reload", Bool: true,
		Usage: "for development: build and reload when a file of watch.paths changes; replaced workers then get 1s to finish",
	},
		func(c *Config) *bool { return &c.Reload }, boolean),

	key(Key{
		Name:  "stop_signal",
		Usage: "asks a worker to finish its requests and exit",
	},
		func(c *Config) *Signal { return &c.StopSignal }, signalKind),
	key(Key{
		Name:  "abort_signal",
		Usage: "asks a stuck worker for its stacks, 2s before SIGKILL",
	},
		func(c *Config) *Signal { return &c.AbortSignal }, signalKind),

	key(Key{
		Name: "backlog", Flag: "backlog", Placeholder: "N",
		Usage: "length of each listening queue; the kernel cuts it to net.core.somaxconn; sockets that were passed in keep theirs unless this is set",
	},
		func(c *Config) *int { return &c.Backlog }, count(1, maxCount)),
	key(Key{
		Name: "chdir", Flag: "chdir", Placeholder: "DIR",
		Usage: "working folder of the workers, where other relative paths start; symlinks are followed anew for each generation; empty: the folder gosuper was started in, " +
			"as $PWD names it (systemd's WorkingDirectory= does not tell of a symlink: name it here)",
	},
		func(c *Config) *string { return &c.Chdir }, text("path", nil)),
	key(Key{
		Name: "user", Flag: "user", Shorthand: "u", Placeholder: "USER",
		Usage: "user the workers run as, without any capabilities unless it is root; empty: as the master",
	},
		func(c *Config) *string { return &c.User }, accountKind("user")),
	key(Key{
		Name: "group", Flag: "group", Shorthand: "g", Placeholder: "GROUP",
		Usage: "group the workers run as; empty: the user's own",
	},
		func(c *Config) *string { return &c.Group }, accountKind("group")),
	key(Key{
		Name: "umask", Flag: "umask", Shorthand: "m", Placeholder: "MASK",
		Usage: "file mode creation mask of the workers, in octal, and of unix sockets in bind; empty: workers have the master's, and everybody who may enter the folder may connect (mode 0666)",
	},
		func(c *Config) *Umask { return &c.Umask }, umaskKind),
	key(Key{
		Name: "pidfile", Flag: "pid", Shorthand: "p", Placeholder: "FILE",
		Usage: "file for the pid of the master; one that is there has to be empty or have a pid in it, belong to root or the master's user, have one name, and not be for others to write; empty: none",
	},
		func(c *Config) *string { return &c.PIDFile }, text("path", nil)),
	key(Key{
		Name: "env_file", Flag: "env-file", Placeholder: "FILE",
		Usage: "file of NAME=VALUE lines for the workers, read again by a reload; empty: none",
	},
		func(c *Config) *string { return &c.EnvFile }, text("path", nil)),
	key(Key{
		Name: "env_pass", Repeat: true,
		Usage: `which variables of its own environment gosuper passes on to the workers: names, and names with a * at the beginning or the end, ` +
			`such as "LC_*"; what env_file, env and gosuper itself give is not meant, PATH is`,
	},
		func(c *Config) *[]string { return &c.EnvPass }, envPassKind),
	envKey(Key{
		Name: "env", Flag: "env", Shorthand: "e", Placeholder: "NAME=VALUE", Repeat: true,
		Usage: `variables for the workers; "{slot}", "{place}", "{id}" and the name of a resource are filled in, "{{id}}" stands for "{id}"; flags add to those of the file`,
	}),
	resourcesTable,

	key(Key{
		Name:  "restart.backoff_min",
		Usage: "first delay of a slot that crashes again",
	},
		func(c *Config) *time.Duration { return &c.Restart.BackoffMin }, duration(aboveZero)),
	key(Key{
		Name:  "restart.backoff_max",
		Usage: "longest delay of a slot that goes on crashing",
	},
		func(c *Config) *time.Duration { return &c.Restart.BackoffMax }, duration(aboveZero)),
	key(Key{
		Name:  "restart.reset_after",
		Usage: "a worker that was ready for so long clears its slot's crashes, and in a rollout those of the new workers before it; 0: nothing does. Workers of a slot that want to be replaced are so once within it (0: within restart.backoff_max)",
	},
		func(c *Config) *time.Duration { return &c.Restart.ResetAfter }, duration(0)),
	key(Key{
		Name:  "restart.startup_attempts",
		Usage: "boots of one slot, or with preload starts of the loader, that may fail in a row before anything was ever ready; then the master gives up. A worker that exits with status 78 before it is ready says that no further attempt would help. As many in a row end a rollout: boots that fail, or crashes before reset_after, of all new workers or of one slot",
	},
		func(c *Config) *int { return &c.Restart.StartupAttempts }, count(1, maxCount)),

	key(Key{
		Name: "log.level", Flag: "log-level", Placeholder: "LEVEL",
		Usage: "least severe level that is logged",
	},
		func(c *Config) *string { return &c.Log.Level }, choice("debug", "info", "warn", "error")),
	key(Key{
		Name: "log.format", Flag: "log-format", Placeholder: "auto|console|json",
		Usage: "auto: console on a terminal, where lines of workers then begin with their number, else json",
	},
		func(c *Config) *string { return &c.Log.Format }, choice("auto", "console", "json")),
	key(Key{
		Name: "log.file", Flag: "error-logfile", Placeholder: "FILE",
		Usage: `file of the log; "-" is stderr; /dev/stdout and /dev/stderr mean the descriptors`,
	},
		func(c *Config) *string { return &c.Log.File }, text("path", checkLogFile)),
	key(Key{
		Name: "log.access_file", Flag: "access-logfile", Placeholder: "FILE",
		Usage: `file of the access log of cooperating workers; "-" is stdout; /dev/stdout and /dev/stderr mean the descriptors; empty: none`,
	},
		func(c *Config) *string { return &c.Log.AccessFile }, text("path", nil)),
	key(Key{
		Name:  "log.access_format",
		Usage: "format of the access log",
	},
		func(c *Config) *string { return &c.Log.AccessFormat }, choice("combined", "json")),

	key(Key{
		Name: "log.workers",
		Usage: "what workers write to stdout and stderr: raw, as it is, but for what drives a terminal on one; " +
			"wrapped, each line in one like the log's, with the worker and the stream",
	},
		func(c *Config) *string { return &c.Log.Workers }, choice("raw", Wrapped)),

	key(Key{
		Name: "control.socket", Flag: "control", Placeholder: "PATH|off",
		Usage: "unix socket on which gosuper status and its like find this master; auto: NAME.sock in /run/gosuper for root, " +
			"else in $XDG_RUNTIME_DIR/gosuper; off: none",
	},
		func(c *Config) *string { return &c.Control.Socket }, text(`path, "auto" or "off"`, checkControl)),

	key(Key{
		Name: "shutdown.delay",
		Usage: "on SIGTERM, how long to go on serving before new connections are refused, while readiness already fails: " +
			"as long as a load balancer takes to notice; 0: not at all",
	},
		func(c *Config) *time.Duration { return &c.Shutdown.Delay }, duration(0)),

	key(Key{
		Name: "admin.bind", Flag: "admin", Placeholder: "ADDR",
		Usage: `address of the admin listener, "host:port" or "unix:/path", for /health, /health/ready, /metrics and a page at /; ` +
			"on a loopback address all but the probes is for those who ask by an address or localhost; empty: none",
	},
		func(c *Config) *string { return &c.Admin.Bind }, text("address", checkAdmin)),
	key(Key{
		Name:  "admin.actions",
		Usage: "whether that page may reload, scale and recycle; only on a loopback address or a unix socket, where whoever can connect may",
	},
		func(c *Config) *bool { return &c.Admin.Actions }, boolean),

	key(Key{
		Name:  "tls.cert",
		Usage: "file of the certificate and those between it and the root, in PEM, for cooperating workers; read again by a reload; empty: no TLS",
	},
		func(c *Config) *string { return &c.TLS.Cert }, text("path", nil)),
	key(Key{
		Name:  "tls.key",
		Usage: "file of the private key of that certificate, in PEM; only the master needs to be able to read it",
	},
		func(c *Config) *string { return &c.TLS.Key }, text("path", nil)),
}, incidentKeys, limitKeys)

// maxCount is the largest count: it fits everywhere, and sums of two do.
const maxCount = 1_000_000_000
