// Package accesslog writes the lines of the access log: one for each request that is
// over, to a pipe of the master's.
package accesslog

import (
	"errors"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// An Ending is why a request ended.
type Ending uint8

const (
	OK         Ending = iota // the handler has returned
	Timeout                  // a limit has ended it
	Drain                    // the end of a drain has
	ClientGone               // its client hung up
	Panic                    // its handler panicked
)

// String returns the word of the access log.
func (e Ending) String() string {
	switch e {
	case Timeout:
		return "timeout"
	case Drain:
		return "drain"
	case ClientGone:
		return "client_gone"
	case Panic:
		return "panic"
	}
	return "ok"
}

// An Entry is what the access log says about one request that is over. Strings
// come from the client as they are; what is empty is not known.
type Entry struct {
	Remote    string // as http.Request.RemoteAddr; of unix sockets nothing is said
	At        time.Time
	Method    string
	Target    string // as http.Request.RequestURI
	Proto     string
	Status    int
	Bytes     int64 // of the body sent
	Referer   string
	Agent     string
	RequestID string
	Duration  time.Duration
	FirstByte time.Duration // from the beginning to the first byte of the final response
	Answered  bool          // there was such a byte
	Ending    Ending
}

// A Log writes a line for each request to a pipe that the master reads. A
// line that does not fit into the pipe is dropped: no request waits for the log.
type Log struct {
	fd     int
	json   bool
	worker uint64

	seconds atomic.Pointer[second] // the one last written
}

// New returns a log that writes to a descriptor, in JSON or in the combined format, as
// the worker of this id. The descriptor must be non-blocking already, as the master hands
// it out: one that is not comes from somebody else, who may hold it too.
func New(fd int, json bool, worker uint64) (*Log, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_GETFL", err)
	}
	if flags&unix.O_NONBLOCK == 0 {
		return nil, errors.New("the descriptor blocks")
	}
	return &Log{fd: fd, json: json, worker: worker}, nil
}

// entries are entries to be used again.
var entries = sync.Pool{New: func() any { return new(Entry) }}

// Open begins the entry of a request with what its client said, since the handler
// may change the request, nil without a log. Close ends its use.
func (a *Log) Open(r *http.Request, id string) *Entry {
	if a == nil {
		return nil
	}
	e := entries.Get().(*Entry)
	e.Remote, e.Method, e.Target, e.Proto = r.RemoteAddr, r.Method, r.RequestURI, r.Proto
	e.Referer, e.Agent, e.RequestID = r.Referer(), r.UserAgent(), id
	return e
}

// Close ends the use of the entry.
func (e *Entry) Close() {
	*e = Entry{}
	entries.Put(e)
}

// lines are buffers for one line each.
var lines = sync.Pool{New: func() any { return new([protocol.MaxAccessLine]byte) }}

// Write writes one line and reports whether it went out whole. It neither waits
// nor allocates.
func (a *Log) Write(e *Entry) bool {
	line := lines.Get().(*[protocol.MaxAccessLine]byte)
	defer lines.Put(line)
	buf := a.format(line[:0], e)
	for {
		n, err := syscall.Write(a.fd, buf)
		if err != syscall.EINTR {
			return n == len(buf)
		}
	}
}

// A second is the time of a line in the form that its format wants.
type second struct {
	unix int64
	text string
}

// clock formats the time, to the second. That takes longer than all the rest, and
// is the same for many lines.
func (a *Log) clock(at time.Time) string {
	unix := at.Unix()
	s := a.seconds.Load()
	if s == nil || s.unix != unix {
		s = &second{unix: unix}
		if a.json {
			s.text = at.UTC().Format("2006-01-02T15:04:05")
		} else {
			s.text = at.Local().Format("02/Jan/2006:15:04:05 -0700")
		}
		a.seconds.Store(s)
	}
	return s.text
}
