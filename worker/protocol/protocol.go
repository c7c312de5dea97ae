package protocol

// The environment of a worker.
const (
	// EnvListenFDs is the number of inherited listening sockets, from
	// ListenFDsStart on; see sd_listen_fds(3).
	EnvListenFDs = "LISTEN_FDS"
	// EnvListenPID is the process for which the descriptors are meant.
	EnvListenPID = "LISTEN_PID"
	// EnvListenFDNames holds the names of the sockets, separated by colons.
	EnvListenFDNames = "LISTEN_FDNAMES"
	// EnvNotifySocket is the address of sd_notify(3), "@" first when abstract.
	EnvNotifySocket = "NOTIFY_SOCKET"
	// EnvNotifyFD is a SOCK_SEQPACKET descriptor that takes the same text.
	EnvNotifyFD = "GOSUPER_NOTIFY_FD"
	// EnvScoreboardFD is the memory described by package scoreboard.
	EnvScoreboardFD = "GOSUPER_SCOREBOARD_FD"
	// EnvSlot is the worker's slot, 0 to workers-1; a spare has none yet.
	EnvSlot = "GOSUPER_SLOT"
	// EnvPlace is the worker's place, 0 to workers+spares+surge-1.
	EnvPlace = "GOSUPER_PLACE"
	// EnvWorkerID is the worker's id; that it is set says that gosuper is the
	// master.
	EnvWorkerID = "GOSUPER_WORKER_ID"
	// EnvGeneration is the generation of the worker's configuration, from 1.
	EnvGeneration = "GOSUPER_GENERATION"
	// EnvStopSignal names the signal that asks this worker to drain ("SIGTERM").
	EnvStopSignal = "GOSUPER_STOP_SIGNAL"
	// EnvLimitKeepAlive is the keep-alive time of idle connections in
	// milliseconds, 0 for no keep-alive.
	EnvLimitKeepAlive = "GOSUPER_LIMIT_KEEPALIVE_MS"
	// EnvLimitRequests is this worker's own max_requests, jitter included, 0 for
	// no limit.
	EnvLimitRequests = "GOSUPER_LIMIT_REQUESTS"
	// EnvLimitFailures is max_failures, 0 for no limit.
	EnvLimitFailures = "GOSUPER_LIMIT_FAILURES"
	// EnvLimitTimeout is how long a request may go without progress before its
	// response has begun, in milliseconds, 0 for no limit; as are the next four.
	EnvLimitTimeout = "GOSUPER_LIMIT_TIMEOUT_MS"
	// EnvLimitStreamTimeout is the same once the response has begun.
	EnvLimitStreamTimeout = "GOSUPER_LIMIT_STREAM_TIMEOUT_MS"
	// EnvLimitUpgradeTimeout is the same for upgraded connections.
	EnvLimitUpgradeTimeout = "GOSUPER_LIMIT_UPGRADE_TIMEOUT_MS"
	// EnvLimitRequestTimeout bounds a request from its start to its end.
	EnvLimitRequestTimeout = "GOSUPER_LIMIT_REQUEST_TIMEOUT_MS"
	// EnvLimitBacklogTimeout is the time in the queue after which a request is
	// answered with 503.
	EnvLimitBacklogTimeout = "GOSUPER_LIMIT_BACKLOG_TIMEOUT_MS"
	// EnvLimitConnections is how many requests the application may be at work on,
	// connections that have not yet sent their first included, 0 for no limit.
	EnvLimitConnections = "GOSUPER_LIMIT_CONNECTIONS"
	// EnvFleetFD is the advisory page that says how busy each place is.
	EnvFleetFD = "GOSUPER_FLEET_FD"
	// EnvAccessFD takes one line of the access log per write.
	EnvAccessFD = "GOSUPER_ACCESS_FD"
	// EnvAccessFormat is AccessCombined or AccessJSON.
	EnvAccessFormat = "GOSUPER_ACCESS_FORMAT"
	// EnvTLSFD is memory with the certificate chain and the key, both PEM.
	EnvTLSFD = "GOSUPER_TLS_FD"
	// EnvFrontFD is memory with a secret of the fronts of one master, see package
	// worker/proxy. Other workers are not given it.
	EnvFrontFD = "GOSUPER_FRONT_FD"
	// EnvWatchdog is the time, in microseconds, within which the worker has to
	// give a sign of life; see sd_watchdog_enabled(3).
	EnvWatchdog = "WATCHDOG_USEC"
)

// ExitHopeless is the exit status of a worker or a loader that every other one would
// have too: EX_CONFIG of sysexits.h.
const ExitHopeless = 78

// FrontSecret is how many bytes EnvFrontFD has.
const FrontSecret = 32

// ListenFDsStart is the first inherited socket, SD_LISTEN_FDS_START.
const ListenFDsStart = 3

// The formats of the access log.
const (
	AccessCombined = "combined"
	AccessJSON     = "json"
)

// The assignments of a message. Those that end in "=" take a value.
const (
	NotifyReady         = "READY=1"
	NotifyStopping      = "STOPPING=1"
	NotifyFailing       = "X_GOSUPER_FAILING=1"
	NotifyBusy          = "X_GOSUPER_BUSY=1"
	NotifyFailed        = "X_GOSUPER_FAILED=1"
	NotifyWatchdog      = "WATCHDOG=1"
	NotifyStatus        = "STATUS="
	NotifyExtendTimeout = "EXTEND_TIMEOUT_USEC="
	NotifyBarrier       = "BARRIER=1"
	NotifyRecycle       = "X_GOSUPER_RECYCLE="
)

// NotifyLook is what the master sends to a worker: words on its board have changed.
const NotifyLook = "LOOK=1"

// RecycleMaxRequests is the reason sent with NotifyRecycle when
// EnvLimitRequests is reached.
const RecycleMaxRequests = "max_requests"

// MaxAccessLine is the largest line of the access log in bytes, its end included:
// the most that a pipe takes whole or not at all.
const MaxAccessLine = 4096

// MaxNotify is the largest message in bytes. What is longer is cut.
const MaxNotify = 4096

// What a loader is given and what is said between it and the master; the package
// comment says when.
const (
	// EnvLoaderFD is the loader's end of the SOCK_SEQPACKET pair.
	EnvLoaderFD = "GOSUPER_LOADER_FD"
	// EnvMasterPID is the parent that a forked worker is to have. It stands in the
	// message that asks for the worker.
	EnvMasterPID = "GOSUPER_MASTER_PID"
)

// The assignments between a loader and the master, beside NotifyReady, NotifyStatus and
// NotifyExtendTimeout. All take a value.
const (
	LoaderSpawn   = "SPAWN="   // the master's
	LoaderSpawned = "SPAWNED=" // the new worker's, or the loader's with LoaderPID
	LoaderPID     = "PID="
	LoaderFailed  = "FAILED="
)

// NotifyGo is what a forked worker waits for on EnvNotifyFD.
const NotifyGo = "GO=1"

// MaxLoader is the largest message between a loader and the master in bytes.
const MaxLoader = 64 << 10
