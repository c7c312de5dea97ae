package protocol

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
