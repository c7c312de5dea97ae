//go:build unix

package worker

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

// An ending is why a request ended.
type ending uint8

const (
	endedOK ending = iota
	endedTimeout
	endedDrain
	endedClientGone
	endedPanic
)

// String returns the word of the access log.
func (e ending) String() string {
	switch e {
	case endedTimeout:
		return "timeout"
	case endedDrain:
		return "drain"
	case endedClientGone:
		return "client_gone"
	case endedPanic:
		return "panic"
	}
	return "ok"
}

// An accessEntry is what the access log says about one request that is over. Strings
// come from the client as they are; what is empty is not known.
type accessEntry struct {
	remote    string // as http.Request.RemoteAddr; of unix sockets nothing is said
	at        time.Time
	method    string
	target    string // as http.Request.RequestURI
	proto     string
	status    int
	bytes     int64 // of the body sent
	referer   string
	agent     string
	requestID string
	duration  time.Duration
	firstByte time.Duration // from the beginning to the first byte of the final response
	answered  bool          // there was such a byte
	ending    ending
}

// An accessLog writes a line for each request to a pipe that the master reads. A
// line that does not fit into the pipe is dropped: no request waits for the log.
type accessLog struct {
	fd     int
	json   bool
	worker uint64

	seconds atomic.Pointer[second] // the one last written
}

// newAccessLog writes to a descriptor that must be non-blocking already, as the master
// hands it out: one that is not comes from somebody else, who may hold it too.
func newAccessLog(fd int, json bool, worker uint64) (*accessLog, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl F_GETFL", err)
	}
	if flags&unix.O_NONBLOCK == 0 {
		return nil, errors.New("the descriptor blocks")
	}
	return &accessLog{fd: fd, json: json, worker: worker}, nil
}

// accessEntries are entries to be used again.
var accessEntries = sync.Pool{New: func() any { return new(accessEntry) }}

// open begins the entry of a request with what its client said, since the handler
// may change the request, nil without a log. close ends its use.
func (a *accessLog) open(r *http.Request, id string) *accessEntry {
	if a == nil {
		return nil
	}
	e := accessEntries.Get().(*accessEntry)
	e.remote, e.method, e.target, e.proto = r.RemoteAddr, r.Method, r.RequestURI, r.Proto
	e.referer, e.agent, e.requestID = r.Referer(), r.UserAgent(), id
	return e
}

func (e *accessEntry) close() {
	*e = accessEntry{}
	accessEntries.Put(e)
}

// accessLines are buffers for one line each.
var accessLines = sync.Pool{New: func() any { return new([protocol.MaxAccessLine]byte) }}

// write writes one line and reports whether it went out whole. It neither waits
// nor allocates.
func (a *accessLog) write(e *accessEntry) bool {
	line := accessLines.Get().(*[protocol.MaxAccessLine]byte)
	defer accessLines.Put(line)
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
func (a *accessLog) clock(at time.Time) string {
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
