//go:build linux

package supervisor

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/accesslog"
	"github.com/gosuper/gosuper/supervisor/internal/books"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/supervisor/internal/tally"
)

// estate is the whole state of a master as one version writes it and another
// reads it. A field is never given another meaning: a new one takes its place.
// Times are those of [moment]; a descriptor or an index of -1 is none.
type estate struct {
	Version   string                 `json:"version"` // of the program, for people
	Program   Program                `json:"program"`
	Fleet     fleet.Snapshot         `json:"fleet"`
	Tally     tally.Snapshot         `json:"tally"`
	Sockets   socket.Snapshot        `json:"sockets"`
	Activated int                    `json:"activated"`        // index of a set
	Leaving   *estateLeaving         `json:"leaving,omitzero"` // of versions that knew only one
	Revisions []estateRevision       `json:"revisions"`
	Current   int                    `json:"current"` // number of a revision
	Last      int                    `json:"last"`
	Workers   []estateWorker         `json:"workers"`
	Strays    []process.TailSnapshot `json:"strays,omitzero"`
	Access    *accesslog.Snapshot    `json:"access,omitzero"`
	Busy      int                    `json:"busy"` // descriptor
	Boardless bool                   `json:"boardless,omitzero"`
	Pidfile   *estatePidfile         `json:"pidfile,omitzero"`
	Words     []estateEpitaph        `json:"words,omitzero"` // of versions before incidents
	Incidents books.Incidents        `json:"incidents,omitzero"`
	Messages  []estateMessage        `json:"messages,omitzero"` // not yet heard

	LeavingSets []estateLeaving `json:"leaving_sets,omitzero"`

	InnocentsLost uint64                    `json:"innocents_lost,omitzero"`
	Started       time.Duration             `json:"started"`
	Up            bool                      `json:"up,omitzero"`
	NoHangup      bool                      `json:"no_hangup,omitzero"` // SIGHUP was ignored at the very start
	Guests        []int                     `json:"guests,omitzero"`    // sessions
	Shared        bool                      `json:"shared,omitzero"`    // not only workers leave processes to the master
	Restarts      map[control.Reason]uint64 `json:"restarts"`
	SlotRestarts  map[int]uint64            `json:"slot_restarts"`
	LastReload    control.Reload            `json:"last_reload"`
	NewestReload  int                       `json:"newest_reload,omitzero"`
	EndedReloads  map[string]uint64         `json:"ended_reloads,omitzero"`
	Spawns        estateSpawns              `json:"spawns"`
	OOMKills      uint64                    `json:"oom_kills,omitzero"`
	Slimmed       map[int]time.Duration     `json:"slimmed,omitzero"`
	Control       *estateControl            `json:"control,omitzero"`
	Stored        int                       `json:"stored"` // index of a set
}

// newEstate is a state in which nothing is known: what is not zero then.
func newEstate() estate { return estate{Activated: -1, Busy: -1, Stored: -1} }

type estateSpawns struct {
	Bounds []time.Duration `json:"bounds"`
	Counts []uint64        `json:"counts"`
	Sum    time.Duration   `json:"sum"`
}

type estateControl struct {
	Socket  string `json:"socket"`
	Name    string `json:"name"`
	Address string `json:"address"`
	Set     int    `json:"set"`
	Fd      int    `json:"fd"` // of an abstract address
}

type estateLeaving struct {
	Set   int           `json:"set"`
	Since time.Duration `json:"since"`
	Look  time.Duration `json:"look"`
}

type estateRevision struct {
	Number     int                 `json:"number"`
	Config     *config.Config      `json:"config"`
	Dir        string              `json:"dir"`
	Path       string              `json:"path"`
	Executable imprint             `json:"executable"`
	Workers    int                 `json:"workers"`
	Auto       string              `json:"auto,omitzero"`
	Credential *process.Credential `json:"credential,omitzero"`
	Identity   []string            `json:"identity,omitzero"`
	Set        int                 `json:"set"`
	TLS        int                 `json:"tls"` // descriptor
	Plain      bool                `json:"plain,omitzero"`
	Admin      int                 `json:"admin"` // index of a set
	Tight      string              `json:"tight,omitzero"`
	TooLow     bool                `json:"too_low,omitzero"`
	Hard       *config.Size        `json:"hard,omitzero"` // nil: as the configuration says
}

// hard is the limit in force. A version that knew none but written ones said
// nothing of it.
func (r *estateRevision) hard() config.Size {
	if r.Hard != nil {
		return *r.Hard
	}
	return max(r.Config.MaxWorkerMemoryHard, 0)
}

type estateWorker struct {
	ID       int                   `json:"id"`
	PID      int                   `json:"pid"`
	Revision int                   `json:"revision"`
	Endpoint *notify.Snapshot      `json:"endpoint,omitzero"`
	Board    int                   `json:"board"` // descriptor
	Tail     *process.TailSnapshot `json:"tail,omitzero"`
	Limit    int                   `json:"limit,omitzero"`

	Look   time.Duration `json:"look,omitzero"`
	Beats  bool          `json:"beats,omitzero"`
	Beat   uint64        `json:"beat,omitzero"`
	BeatAt time.Duration `json:"beat_at,omitzero"`

	Announced  bool          `json:"announced,omitzero"`
	Cooperates bool          `json:"cooperates,omitzero"`
	Newer      bool          `json:"newer,omitzero"`
	Why        fleet.Reason  `json:"why,omitzero"`
	Until      time.Duration `json:"until,omitzero"`
	Failure    string        `json:"failure,omitzero"`
	Words      []string      `json:"words,omitzero"`
	Says       string        `json:"says,omitzero"`
	Slain      bool          `json:"slain,omitzero"`
}

type estatePidfile struct {
	Fd   int    `json:"fd"`
	Path string `json:"path"`
}

type estateEpitaph struct {
	ID     int      `json:"id"`
	Status string   `json:"status"`
	Lines  []string `json:"lines"`
}

type estateMessage struct {
	ID      int            `json:"id"`
	Message notify.Message `json:"message"`
}

// leaving are all sockets that leave.
func (l *estate) leaving() []estateLeaving {
	if l.Leaving == nil {
		return l.LeavingSets
	}
	return append([]estateLeaving{*l.Leaving}, l.LeavingSets...)
}

// descriptors are all that the state refers to.
func (l *estate) descriptors() []int {
	fds := l.Sockets.Fds()
	add := func(all ...int) {
		for _, fd := range all {
			if fd >= 0 {
				fds = append(fds, fd)
			}
		}
	}
	add(l.Busy)
	for _, r := range l.Revisions {
		add(r.TLS)
	}
	for _, w := range l.Workers {
		add(w.Board)
		if w.Endpoint != nil {
			add(w.Endpoint.Pair, w.Endpoint.Datagram)
		}
		if w.Tail != nil {
			add(w.Tail.Pipe)
		}
	}
	for _, t := range l.Strays {
		add(t.Pipe)
	}
	if a := l.Access; a != nil {
		add(a.ReadEnd, a.WriteEnd, a.Destination)
	}
	if l.Control != nil {
		add(l.Control.Fd)
	}
	if l.Pidfile != nil {
		add(l.Pidfile.Fd)
	}
	return fds
}

// imprint tells whether a file is still the one that it was.
type imprint struct {
	Dev     uint64 `json:"dev"`
	Ino     uint64 `json:"ino"`
	Size    int64  `json:"size"`
	ModTime int64  `json:"mod_time"` // nanoseconds
}

func imprintOf(path string) (imprint, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return imprint{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return imprintFrom(&stat), nil
}

func imprintFrom(stat *unix.Stat_t) imprint {
	return imprint{uint64(stat.Dev), stat.Ino, stat.Size, stat.Mtim.Nano()}
}
