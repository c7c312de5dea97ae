//go:build unix

package worker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/internal/accesslog"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// defaultKeepAlive is how long idle connections are kept when nobody says: the
// default of gosuper's keepalive setting.
const defaultKeepAlive = 5 * time.Second

// longest is the longest time that a variable can say; more would overflow soon.
const longest = 100 * 365 * 24 * time.Hour

// inheritance is what a process gets from whoever started it. The zero value, but
// for keepAlive, belongs to a program that runs alone.
type inheritance struct {
	supervised  bool              // started by gosuper, and meant for this process
	sockets     int               // inherited listening sockets, from protocol.ListenFDsStart on
	socketless  error             // why they are not there any more, or nil
	notifyFD    int               // SOCK_SEQPACKET towards the master, 0 if there is none
	notify      string            // address for sd_notify(3), "" if there is none
	board       *scoreboard.Board // nil if the master shares none
	stop        syscall.Signal    // what asks to drain besides SIGTERM, 0 if nothing does
	keepAlive   time.Duration     // 0: no keep-alive
	maxRequests uint64            // 0: no limit
	maxFailures uint32            // in a row, 0: no limit
	limits      scoreboard.Limits // on single requests
	certificate *tls.Certificate  // nil: no TLS
	watchdog    time.Duration     // within which the board wants a beat; 0: it wants none
	connections int64             // busy at which no more are accepted, 0: no limit
	backlog     time.Duration     // in the queue after which a request is refused, 0: no limit
	fleet       *scoreboard.Fleet // where workers tell how busy they are, nil if nowhere
	place       int               // this worker's in fleet
	id          uint64            // this worker's
	access      *accesslog.Log    // nil if there is none
}

// sockets are the variables of sd_listen_fds(3); limits are those that only gosuper
// sets and that hold only where LISTEN_PID is this process. Children must not take
// either for their own.
var (
	sockets = []string{protocol.EnvListenFDs, protocol.EnvListenPID, protocol.EnvListenFDNames}
	limits  = []string{
		protocol.EnvNotifyFD, protocol.EnvScoreboardFD, protocol.EnvStopSignal,
		protocol.EnvLimitKeepAlive, protocol.EnvLimitRequests, protocol.EnvLimitFailures, protocol.EnvLimitConnections,
		protocol.EnvLimitTimeout, protocol.EnvLimitStreamTimeout, protocol.EnvLimitUpgradeTimeout, protocol.EnvLimitRequestTimeout,
		protocol.EnvLimitBacklogTimeout, protocol.EnvFleetFD, protocol.EnvAccessFD, protocol.EnvAccessFormat,
		protocol.EnvTLSFD, protocol.EnvWatchdog,
	}
	// Children may see the others.
	others = []string{protocol.EnvWorkerID, protocol.EnvPlace, protocol.EnvNotifySocket}
)

// An announcement is what came of writing the board's header, and what gosuper said to
// this process: a program may take sockets by itself, and their variables with them, before
// it calls this package.
type announcement struct {
	given map[string]string // by the names of variables; nil: gosuper did not start this very process
	board *scoreboard.Board // nil if there is none
	err   error
}

// announce writes the header of the board, if gosuper has started this very process and
// given it one. Everything else is left as it is.
func announce() announcement {
	if os.Getenv(protocol.EnvWorkerID) == "" || os.Getenv(protocol.EnvListenPID) != strconv.Itoa(os.Getpid()) {
		return announcement{}
	}
	a := announcement{given: map[string]string{}}
	for _, name := range slices.Concat(sockets, limits, others) {
		a.given[name] = os.Getenv(name)
	}
	env := environment{given: a.given}
	if fd := env.descriptor(protocol.EnvScoreboardFD, env.number(protocol.EnvListenFDs)); fd != 0 {
		var err error
		if a.board, err = scoreboard.Open(fd); err != nil {
			env.fail(protocol.EnvScoreboardFD, err)
		} else {
			a.board.WriteHeader(os.Getpid())
		}
	}
	a.err = errors.Join(env.errs...)
	return a
}

// inherit reads what gosuper has put into the environment, and takes it out. For a
// program that gosuper did not start it leaves everything as it is.
func inherit(a announcement) (inheritance, error) {
	in := inheritance{keepAlive: defaultKeepAlive, notify: os.Getenv(protocol.EnvNotifySocket)}
	if a.given == nil {
		id, owner := os.Getenv(protocol.EnvWorkerID), os.Getenv(protocol.EnvListenPID)
		if id == "" || owner == "" || owner == strconv.Itoa(os.Getpid()) {
			return in, nil // alone, or a child of a worker
		}
		return in, strayError(id, owner)
	}

	env := environment{given: a.given}
	in.supervised = true
	in.notify = env.get(protocol.EnvNotifySocket)
	in.sockets, in.socketless = env.takeSockets()
	in.notifyFD = env.descriptor(protocol.EnvNotifyFD, in.sockets)
	in.maxRequests = uint64(env.number(protocol.EnvLimitRequests))
	in.maxFailures = uint32(env.number(protocol.EnvLimitFailures))
	in.connections = int64(env.number(protocol.EnvLimitConnections))
	in.backlog = time.Duration(env.number(protocol.EnvLimitBacklogTimeout)) * time.Millisecond
	in.id = uint64(env.number(protocol.EnvWorkerID))
	in.place = env.number(protocol.EnvPlace)
	if env.get(protocol.EnvLimitKeepAlive) != "" {
		in.keepAlive = env.milliseconds(protocol.EnvLimitKeepAlive)
	}
	in.limits = scoreboard.Limits{
		Timeout: env.milliseconds(protocol.EnvLimitTimeout),
		Stream:  env.milliseconds(protocol.EnvLimitStreamTimeout),
		Upgrade: env.milliseconds(protocol.EnvLimitUpgradeTimeout),
		Request: env.milliseconds(protocol.EnvLimitRequestTimeout),
	}
	if name := env.get(protocol.EnvStopSignal); name != "" {
		if in.stop = unix.SignalNum(name); in.stop == 0 {
			env.fail(protocol.EnvStopSignal, errors.New("no such signal"))
		}
	}
	if in.board = a.board; in.board != nil {
		unix.Close(env.number(protocol.EnvScoreboardFD)) // the mapping stays
	}
	if fd := env.descriptor(protocol.EnvTLSFD, in.sockets); fd != 0 {
		var err error
		if in.certificate, err = readPair(fd); err != nil {
			env.fail(protocol.EnvTLSFD, err)
		}
	}
	in.watchdog = min(time.Duration(env.number(protocol.EnvWatchdog)), longest/time.Microsecond) * time.Microsecond
	if fd := env.descriptor(protocol.EnvFleetFD, in.sockets); fd != 0 {
		fleet, err := scoreboard.OpenFleet(fd)
		if err != nil {
			env.fail(protocol.EnvFleetFD, err)
		} else {
			in.fleet = fleet
			unix.Close(fd) // the mapping stays
		}
	}
	if fd := env.descriptor(protocol.EnvAccessFD, in.sockets); fd != 0 {
		json := env.get(protocol.EnvAccessFormat) == protocol.AccessJSON
		access, err := accesslog.New(fd, json, in.id)
		if err != nil {
			env.fail(protocol.EnvAccessFD, err)
		} else {
			in.access = access
			syscall.CloseOnExec(fd)
		}
	}
	if in.notifyFD != 0 {
		syscall.CloseOnExec(in.notifyFD)
		// The same reports by another way: children that know sd_notify(3) would
		// speak for this worker.
		os.Unsetenv(protocol.EnvNotifySocket)
	}
	for _, name := range limits {
		os.Unsetenv(name)
	}
	return in, errors.Join(append(env.errs, a.err)...)
}

// activated returns the number of sockets passed by systemd's socket activation to a
// program that runs without gosuper. It is asked when a server wants them and
// not before: other libraries may want them too.
func activated() (int, error) {
	if os.Getenv(protocol.EnvListenPID) != strconv.Itoa(os.Getpid()) {
		return 0, nil
	}
	var env environment
	n, err := env.takeSockets()
	return n, errors.Join(append(env.errs, err)...)
}

// environment reads variables and collects what is wrong with them.
type environment struct {
	given map[string]string // nil: the variables of the process as they are now
	errs  []error
}

func (e *environment) get(name string) string {
	if e.given != nil {
		return e.given[name]
	}
	return os.Getenv(name)
}

// takeSockets returns the number of inherited sockets, which no child will inherit
// from here on, and an error if they are not there. A program that has taken them by
// itself needs the rest of what it is given all the same.
func (e *environment) takeSockets() (n int, err error) {
	n = e.number(protocol.EnvListenFDs)
	for fd := protocol.ListenFDsStart; fd < protocol.ListenFDsStart+n; fd++ {
		if _, errno := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); errno != nil {
			err = e.cannot(protocol.EnvListenFDs, fmt.Errorf("descriptor %d: %w", fd, errno))
			break
		}
		syscall.CloseOnExec(fd)
	}
	for _, name := range sockets {
		os.Unsetenv(name)
	}
	return n, err
}

// number returns a variable that holds a decimal number, 0 if it is not set.
func (e *environment) number(name string) int {
	value := e.get(name)
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		e.fail(name, errors.New("not a number"))
		return 0
	}
	return n
}

// milliseconds returns a variable that holds a time, 0 if it is not set.
func (e *environment) milliseconds(name string) time.Duration {
	return min(time.Duration(e.number(name)), longest/time.Millisecond) * time.Millisecond
}

// descriptor returns a variable that holds a descriptor other than those of the
// sockets, 0 if it is not set.
func (e *environment) descriptor(name string, sockets int) int {
	fd := e.number(name)
	if fd != 0 && fd < protocol.ListenFDsStart+sockets {
		e.fail(name, errors.New("not a descriptor after the sockets"))
		return 0
	}
	return fd
}

func (e *environment) fail(name string, err error) {
	e.errs = append(e.errs, e.cannot(name, err))
}

func (e *environment) cannot(name string, err error) error {
	return fmt.Errorf("cannot use %s=%q: %w", name, e.get(name), err)
}

// maxPairBytes bounds what is read as certificate and key.
const maxPairBytes = 1 << 20

// readPair reads a certificate chain and its key from the descriptor, which it
// closes.
func readPair(fd int) (*tls.Certificate, error) {
	file := os.NewFile(uintptr(fd), "certificate")
	if file == nil {
		return nil, errors.New("not a descriptor")
	}
	defer file.Close()
	// The descriptor's position is shared with every other worker.
	content, err := io.ReadAll(io.NewSectionReader(file, 0, maxPairBytes))
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(content, content)
	if err != nil {
		return nil, fmt.Errorf("not a certificate and its key: %w", err)
	}
	return &cert, nil
}

// strayError explains that another process has been started in this one's place.
func strayError(id, owner string) error {
	between := ""
	if command := commandOf(owner); command != "" {
		between = fmt.Sprintf(" (%s)", command)
	}
	return fmt.Errorf("cannot serve as worker %s: gosuper started process %s%s, which started this one, process %d: "+
		"signals and sockets are for process %s; name this program itself as the command, or have it replaced by exec, as in sh -c 'exec program'",
		id, owner, between, os.Getpid(), owner)
}

// maxCommand is how much of a command line is said, in bytes.
const maxCommand = 200

// commandOf returns the command line of a process as far as it helps to tell what it
// is, on one line and printable; its name where it has none; "" if that is not known.
func commandOf(pid string) string {
	text, err := os.ReadFile("/proc/" + pid + "/cmdline")
	if command := strings.TrimRight(string(text), "\x00"); err == nil && command != "" {
		text = []byte(strings.ReplaceAll(command, "\x00", " "))
	} else if text, err = os.ReadFile("/proc/" + pid + "/comm"); err != nil {
		return ""
	}
	command := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.TrimSpace(string(text)))
	if len(command) > maxCommand {
		command = strings.ToValidUTF8(command[:maxCommand], "") + " ..."
	}
	return command
}
