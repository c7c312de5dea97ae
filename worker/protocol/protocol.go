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
	// EnvSlot is the worker's slot, 0 to workers-1.
	EnvSlot = "GOSUPER_SLOT"
	// EnvPlace is the worker's place, 0 to workers+surge-1.
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
)

// ListenFDsStart is the first inherited socket, SD_LISTEN_FDS_START.
const ListenFDsStart = 3

// The assignments of a message. Those that end in "=" take a value.
const (
	NotifyReady         = "READY=1"
	NotifyStopping      = "STOPPING=1"
	NotifyStatus        = "STATUS="
	NotifyExtendTimeout = "EXTEND_TIMEOUT_USEC="
	NotifyBarrier       = "BARRIER=1"
	NotifyRecycle       = "X_GOSUPER_RECYCLE="
)

// RecycleMaxRequests is the reason sent with NotifyRecycle when
// EnvLimitRequests is reached.
const RecycleMaxRequests = "max_requests"

// MaxNotify is the largest message in bytes. What is longer is cut.
const MaxNotify = 4096
