//go:build linux

package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// idleTime is how long a connection to the program is kept. Servers close theirs after
	// 2 s at the least, and what is closed just as a request is sent is lost.
	idleTime = time.Second
	// reuseAfter is how old an answer is before its connection is used again. Some servers
	// close connections without a word soon after an answer, those built on hyper if they
	// have not read a body whole, and a request that meets such an end is lost.
	reuseAfter = 5 * time.Millisecond
	// maxIdle is how many are kept.
	maxIdle = 256
	// redial is the pause before another attempt at a unix socket whose queue is full, where
	// connect(2) does not wait.
	redial = 5 * time.Millisecond
)

// An upstream is the connections to the program. It is an http.RoundTripper that, unlike
// http.Transport, sends nothing twice.
type upstream struct {
	network, address string
	timeout          time.Duration // of a connection attempt
	others           *others       // for what the program is no more there for; nil: nobody

	mu   sync.Mutex // guards idle
	idle []*conn    // the one that has been idle for longest comes first
}

// conn is a connection to the program.
type conn struct {
	net.Conn
	r      *bufio.Reader
	since  time.Time // when it became idle
	again  bool      // it leads to another worker
	sent   int64     // bytes, in all
	heard  bool      // something of the answer to the last request was read
	ended  bool      // the program has closed it
	budget int       // of bytes that may be read until the header is complete; below 0: any
}

// maxHeader bounds the header of an answer, with those of interim ones.
const maxHeader = 1 << 20

var errHeader = errors.New("the header of the answer is too large")

func (c *conn) Read(data []byte) (int, error) {
	if c.budget == 0 {
		return 0, errHeader
	}
	if c.budget > 0 && len(data) > c.budget {
		data = data[:c.budget]
	}
	n, err := c.Conn.Read(data)
	if c.budget > 0 {
		c.budget -= n
	}
	c.ended = err == io.EOF
	return n, err
}

func (c *conn) Write(data []byte) (int, error) {
	n, err := c.Conn.Write(data)
	c.sent += int64(n)
	return n, err
}

// CloseWrite tells the program that nothing else comes.
func (c *conn) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// dial returns a fresh connection.
func (u *upstream) dial(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{Timeout: u.timeout}
	for end := time.Now().Add(u.timeout); ; {
		c, err := dialer.DialContext(ctx, u.network, u.address)
		if !errors.Is(err, syscall.EAGAIN) || time.Now().After(end) {
			return c, err
		}
		select {
		case <-time.After(redial):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// fresh is dial for a request. Where the program has ended the connection leads to another
// worker, if there is one.
func (u *upstream) fresh(req *http.Request) (*conn, error) {
	inner, err := u.dial(req.Context())
	c := &conn{Conn: inner}
	if err != nil && u.others != nil {
		c.Conn = u.others.connect(req)
		c.again = c.Conn != nil
	}
	if err != nil && !c.again {
		return nil, err
	}
	c.read()
	return c, nil
}

// readers are those of connections in use: there are more that are not.
var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// read gives the connection a reader.
func (c *conn) read() {
	c.r = readers.Get().(*bufio.Reader)
	c.r.Reset(c)
}

// take returns a connection that is idle, and as far as can be told was not closed by the
// program; nil: there is none.
func (u *upstream) take() *conn {
	now := time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.idle) > 0 {
		c := u.idle[0]
		age := now.Sub(c.since)
		if age < reuseAfter {
			break
		}
		u.idle = u.idle[1:]
		if age < idleTime && quiet(c.Conn) {
			c.read()
			return c
		}
		c.Close()
	}
	return nil
}

// put keeps a connection, of which all was read, for the next request. Those that have been idle for too long
// are closed.
func (u *upstream) put(c *conn) {
	c.r.Reset(nil)
	readers.Put(c.r)
	c.since, c.heard, c.r = time.Now(), false, nil
	u.mu.Lock()
	defer u.mu.Unlock()
	old := 0
	for old < len(u.idle) && (c.since.Sub(u.idle[old].since) >= idleTime || len(u.idle)-old >= maxIdle) {
		u.idle[old].Close()
		old++
	}
	u.idle = append(u.idle[old:], c)
}

// closeIdle closes all connections that are not in use.
func (u *upstream) closeIdle() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.idle {
		c.Close()
	}
	u.idle = nil
}

// quiet reports whether there is nothing to be read from a connection, be it bytes or its
// end.
func quiet(c net.Conn) bool {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	var peeked error
	err = raw.Control(func(fd uintptr) {
		_, _, peeked = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return err == nil && errors.Is(peeked, unix.EAGAIN)
}

// resetTime is what the news of a reset may take after those of the end.
const resetTime = 5 * time.Millisecond

// unheard reports whether the program has got no byte of what was sent after the first
// before bytes, and never will: the connection was closed, in good order, before its
// kernel had taken one, so that it has refused the rest. That the kernel tells for sure:
// the end of a connection says what came in before it, and what comes in after a close is
// answered by a reset. A reset alone says nothing, for the program may have read what its
// kernel has yet to acknowledge.
func (c *conn) unheard(before int64) bool {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok || c.heard || !c.ended {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	for end := time.Now().Add(resetTime); ; time.Sleep(resetTime / 10) {
		var info *unix.TCPInfo
		controlled := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		if err != nil || controlled != nil || int64(info.Bytes_acked) > before+1 { // one is the SYN's
			return false
		}
		if info.State == unix.BPF_TCP_CLOSE {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
