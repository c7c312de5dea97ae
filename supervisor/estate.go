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
	"github.com/gosuper/gosuper/supervisor/internal/handover"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
	"github.com/gosuper/gosuper/supervisor/internal/state"
	"github.com/gosuper/gosuper/supervisor/internal/tally"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// estate is the whole state of a master as one version writes it and another
// reads it. A field is never given another meaning: a new one takes its place.
// A descriptor or an index of -1 is none.
type estate struct {
	Version   string              `state:"version"` // of the program, for people
	Program   Program             `state:"program"`
	Fleet     *fleet.Fleet        `state:"fleet"`
	Tally     tally.Snapshot      `state:"tally"`
	Sockets   socket.Snapshot     `state:"sockets"`
	Activated int                 `state:"activated"` // index of a set
	Leaving   *estateLeaving      `state:"leaving"`   // of versions that knew only one
	Revisions []estateRevision    `state:"revisions"`
	Current   int                 `state:"current"` // number of a revision
	Last      int                 `state:"last"`
	Workers   []estateWorker      `state:"workers"`
	Strays    []estateStray       `state:"strays"`
	Access    *accesslog.Snapshot `state:"access"`
	Busy      int                 `state:"busy,fd"` // descriptor
	Boardless bool                `state:"boardless"`
	Pidfile   *estatePidfile      `state:"pidfile"`
	Words     []estateEpitaph     `state:"words"` // of versions before incidents
	Incidents books.Incidents     `state:"incidents"`
	Messages  []estateMessage     `state:"messages"` // not yet heard

	LeavingSets []estateLeaving `state:"leaving_sets"`

	InnocentsLost uint64                    `state:"innocents_lost"`
	Started       time.Time                 `state:"started"`
	Up            bool                      `state:"up"`
	NoHangup      bool                      `state:"no_hangup"` // SIGHUP was ignored at the very start
	Guests        []int                     `state:"guests"`    // sessions
	Shared        bool                      `state:"shared"`    // not only workers leave processes to the master
	Restarts      map[control.Reason]uint64 `state:"restarts"`
	SlotRestarts  map[int]uint64            `state:"slot_restarts"`
	LastReload    control.Reload            `state:"last_reload"`
	NewestReload  int                       `state:"newest_reload"`
	EndedReloads  map[string]uint64         `state:"ended_reloads"`
	Spawns        estateSpawns              `state:"spawns"`
	OOMKills      uint64                    `state:"oom_kills"`
	Slimmed       map[int]time.Time         `state:"slimmed"`
	Control       *estateControl            `state:"control"`
	Stored        int                       `state:"stored"` // index of a set
}

// newEstate is a state in which nothing is known: what is not zero then.
func newEstate() estate { return estate{Activated: -1, Busy: -1, Stored: -1} }

type estateSpawns struct {
	Bounds []time.Duration `state:"bounds"`
	Counts []uint64        `state:"counts"`
	Sum    time.Duration   `state:"sum"`
}

type estateControl struct {
	Socket  string `state:"socket"`
	Name    string `state:"name"`
	Address string `state:"address"`
	Set     int    `state:"set"`
	Fd      int    `state:"fd,fd"` // of an abstract address
}

type estateLeaving struct {
	Set   int       `state:"set"`
	Since time.Time `state:"since"`
	Look  time.Time `state:"look"`
}

type estateRevision struct {
	Number     int                 `state:"number"`
	Config     *config.Config      `state:"config"`
	Dir        string              `state:"dir"`
	Path       string              `state:"path"`
	Executable imprint             `state:"executable"`
	Workers    int                 `state:"workers"`
	Auto       string              `state:"auto"`
	Credential *process.Credential `state:"credential"`
	Identity   []string            `state:"identity"`
	Set        int                 `state:"set"`
	TLS        int                 `state:"tls,fd"` // descriptor
	Plain      bool                `state:"plain"`
	Admin      int                 `state:"admin"` // index of a set
	Tight      string              `state:"tight"`
	TooLow     bool                `state:"too_low"`
	Hard       *config.Size        `state:"hard"` // nil: as the configuration says
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
	ID       int                   `state:"id"`
	PID      int                   `state:"pid"`
	Revision int                   `state:"revision"`
	Endpoint *notify.Snapshot      `state:"endpoint"`
	Board    int                   `state:"board,fd"` // descriptor
	Tail     *process.TailSnapshot `state:"tail"`
	Limit    int                   `state:"limit"`

	Look   time.Time `state:"look"`
	Beats  bool      `state:"beats"`
	Beat   uint64    `state:"beat"`
	BeatAt time.Time `state:"beat_at"`

	Announced  bool         `state:"announced"`
	Cooperates bool         `state:"cooperates"`
	Newer      bool         `state:"newer"`
	Why        fleet.Reason `state:"why"`
	Until      time.Time    `state:"until"`
	Failure    string       `state:"failure"`
	Words      []string     `state:"words"`
	Says       string       `state:"says"`
	Slain      bool         `state:"slain"`
}

// estateStray is a pipe that somebody may still write to. One that is the stdout of
// a worker that lives is among them too, lest it end with a version that knows of no
// such pipes.
type estateStray struct {
	process.TailSnapshot `state:",inline"`
	Worker               int `state:"worker"` // 0: it is gone
}

type estatePidfile struct {
	Fd   int    `state:"fd,fd"`
	Path string `state:"path"`
}

type estateEpitaph struct {
	ID     int      `state:"id"`
	Status string   `state:"status"`
	Lines  []string `state:"lines"`
}

type estateMessage struct {
	ID      int            `state:"id"`
	Message notify.Message `state:"message"`
}

// leaving are all sockets that leave.
func (l *estate) leaving() []estateLeaving {
	if l.Leaving == nil {
		return l.LeavingSets
	}
	return append([]estateLeaving{*l.Leaving}, l.LeavingSets...)
}

// write writes the state into memory of which it returns the descriptor. Descriptors
// are all that the next image finds: what is in the state, and others.
func (l *estate) write(others ...int) (fd int, descriptors []int, err error) {
	text, descriptors, err := state.Write(l, scoreboard.Epoch())
	if err != nil {
		return -1, nil, err
	}
	descriptors = append(descriptors, others...)
	fd, err = handover.Write(text, descriptors)
	return fd, descriptors, err
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
