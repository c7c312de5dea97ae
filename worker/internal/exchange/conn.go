//go:build unix

package exchange

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/worker/internal/direct"
	"github.com/gosuper/gosuper/worker/internal/intake"
	"github.com/gosuper/gosuper/worker/internal/limit"
	"github.com/gosuper/gosuper/worker/internal/wire"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// tcpConn and unixConn are accepted connections, with all that net and net/http look
// for: ReadFrom for sendfile and splice, CloseWrite, SyscallConn, File.
type tcpConn struct {
	*net.TCPConn
	connection
}

type unixConn struct {
	unixStream
	connection
}

// unixStream is *net.UnixConn less the method by which net.Buffers writes past Write.
// TCP keeps that, since the kernel tells what was sent; see wire.LastSent.
type unixStream interface {
	direct.Stream
	syscall.Conn
	CloseRead() error
	File() (*os.File, error)
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
	ReadMsgUnix(data, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error)
	WriteMsgUnix(data, oob []byte, addr *net.UnixAddr) (n, oobn int, err error)
}

func (c *tcpConn) Close() error  { return c.close(c.TCPConn) }
func (c *unixConn) Close() error { return c.close(c.unixStream) }

func (c *tcpConn) Read(data []byte) (int, error)   { return c.exchange.read(data) }
func (c *tcpConn) Write(data []byte) (int, error)  { return c.exchange.write(data) }
func (c *unixConn) Read(data []byte) (int, error)  { return c.exchange.read(data) }
func (c *unixConn) Write(data []byte) (int, error) { return c.exchange.write(data) }

func (c *tcpConn) SetReadDeadline(t time.Time) error  { return c.deadline.Set(t) }
func (c *unixConn) SetReadDeadline(t time.Time) error { return c.deadline.Set(t) }
func (c *tcpConn) SetDeadline(t time.Time) error      { return c.setDeadline(c.TCPConn, t) }
func (c *unixConn) SetDeadline(t time.Time) error     { return c.setDeadline(c.unixStream, t) }

func (c *connection) setDeadline(raw net.Conn, t time.Time) error {
	if err := raw.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.deadline.Set(t)
}

// ReadFrom keeps sendfile and splice.
func (c *tcpConn) ReadFrom(src io.Reader) (int64, error) { return c.exchange.readFrom(c.TCPConn, src) }

// WriteTo keeps splice where nobody has to see what is read.
func (c *tcpConn) WriteTo(dst io.Writer) (int64, error) {
	if c.exchange.Phase().Running() {
		return io.Copy(dst, struct{ io.Reader }{c})
	}
	c.deadline.End()
	return c.TCPConn.WriteTo(dst)
}

// A connection is what the drain and the accounting know of one connection.
type connection struct {
	server *Server
	conn   net.Conn     // the one that embeds this
	state  atomic.Int32 // http.ConnState; StateNew for servers that are not HTTP
	since  atomic.Int64 // of state, in Monotonic nanoseconds; recorded during a drain only
	closed atomic.Bool
	late   atomic.Bool  // its first request waited for too long
	turn   atomic.Int64 // from when on a drain ends it with an answer, in Monotonic nanoseconds

	ticket intake.Ticket

	deadline wire.ReadDeadline

	// The HTTP/1 requests of the connection, one after the other.
	exchange exchange
}

// init prepares the exchange of a connection, whose raw and tcp are set.
func (e *exchange) init(c *connection) {
	e.conn = c
	s := c.server
	e.Init(s.Limits, s.Board, &s.overtime, limit.Committed)
	if e.tcp != nil {
		e.Delivered(e.sent)
	}
	e.cancel = func(error) {}
}

func (c *connection) close(raw net.Conn) error {
	if c.exchange.lingering.Load() {
		return nil
	}
	err := raw.Close()
	c.gone()
	return err
}

// gone takes the connection off the books, once.
func (c *connection) gone() {
	if c.closed.CompareAndSwap(false, true) {
		c.deadline.End()
		c.server.remove(c)
		c.exchange.gone()
	}
}

// setState records what net/http reports. The time matters only to a drain, so
// the clock is not read before there is one.
func (c *connection) setState(state http.ConnState) {
	if c.server.Draining() {
		c.since.Store(scoreboard.Monotonic())
	}
	c.state.Store(int32(state))
	switch state {
	case http.StateIdle:
		c.exchange.Over()
	case http.StateClosed:
		c.exchange.Over()
		c.exchange.Stop()
		c.exchange.cancel(nil)
	}
}

// connectionOf returns what is known of a connection that net/http hands to a
// hook, nil if it is not one of ours.
func connectionOf(conn net.Conn) *connection {
	switch conn := conn.(type) {
	case *tcpConn:
		return &conn.connection
	case *unixConn:
		return &conn.connection
	case *tls.Conn:
		return connectionOf(conn.NetConn())
	}
	return nil
}

// connectionKey is the key of the *connection in the context of its requests.
type connectionKey struct{}

// withConnection prepares a connection for HTTP. conn is what net/http sees of it.
func withConnection(ctx context.Context, c *connection, conn net.Conn) context.Context {
	c.exchange.tls, _ = conn.(*tls.Conn)
	c.deadline.Begin()
	ctx, c.exchange.cancel = context.WithCancelCause(ctx)
	return context.WithValue(ctx, connectionKey{}, c) // last, since it is looked for by each request
}

func connectionFrom(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// Add takes an accepted connection on the books and returns it wrapped.
func (s *Server) Add(accepted net.Conn) net.Conn {
	var c *connection
	switch accepted := accepted.(type) {
	case *net.TCPConn:
		wrapped := &tcpConn{TCPConn: accepted}
		c = &wrapped.connection
		c.conn, c.exchange.raw, c.exchange.tcp = wrapped, direct.New(accepted), accepted
	case *net.UnixConn:
		wrapped := &unixConn{unixStream: accepted}
		c = &wrapped.connection
		c.conn, c.exchange.raw = wrapped, direct.New(accepted)
	}
	c.server = s
	c.deadline.Init(accepted)
	c.exchange.init(c)
	s.Board.ConnAccepted()
	c.examine(s.Backlog)
	s.Gate.Admit(&c.ticket)
	s.mu.Lock()
	s.open[c] = struct{}{}
	s.Gate.TellOpen(len(s.open))
	s.mu.Unlock()
	if s.Draining() {
		c.since.Store(scoreboard.Monotonic())
	}
	return c.conn
}

func (s *Server) remove(c *connection) {
	s.Board.ConnClosed()
	s.Gate.Forget(&c.ticket)
	s.mu.Lock()
	delete(s.open, c)
	s.Gate.TellOpen(len(s.open))
	last := len(s.open) == 0
	s.mu.Unlock()
	if last {
		select {
		case s.empty <- struct{}{}:
		default:
		}
	}
}

// Empty gets a value when the last connection is gone.
func (s *Server) Empty() <-chan struct{} { return s.empty }

// Open returns how many connections are open.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// TakeTurns gives the connections of a drain that begins their turns to end with an
// answer, all within the span given: were all to end with their next ones, all clients
// would connect anew, and shake hands, at the same moment. Those with a request come
// first, since others may not send one again. Who connects later ends with the first.
func (s *Server) TakeTurns(span time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	turn := scoreboard.Monotonic()
	step := int64(min(protocol.TurnStep, span/time.Duration(max(1, len(s.open)))))
	var others []*connection
	for c := range s.open {
		if http.ConnState(c.state.Load()) != http.StateActive {
			others = append(others, c)
			continue
		}
		c.turn.Store(turn)
		turn += step
	}
	for _, c := range others {
		c.turn.Store(turn)
		turn += step
	}
}

// ends reports whether the answer that begins is the last one of the connection.
func (c *connection) ends() bool {
	return c.server.Draining() && scoreboard.Monotonic() >= c.turn.Load()
}

// Expire ends the connections that wait for a request for too long in a drain
// that began at the Monotonic time given: those that have sent none yet after
// fresh, those between two requests after idle.
//
// They are not closed but given a read deadline in the past. net/http then closes
// those that are still waiting, while one whose request has just arrived gets a
// new deadline and its answer.
func (s *Server) Expire(began int64, fresh, idle time.Duration) {
	now := scoreboard.Monotonic()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		limit := fresh
		switch http.ConnState(c.state.Load()) {
		case http.StateNew:
		case http.StateIdle:
			limit = idle
		default:
			continue
		}
		if now-max(c.since.Load(), began) > int64(limit) {
			c.conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
}

// CloseAll closes what is left.
func (s *Server) CloseAll() {
	s.mu.Lock()
	var left []net.Conn
	for c := range s.open {
		left = append(left, c.conn)
	}
	s.mu.Unlock()
	for _, conn := range left {
		conn.Close() // removes itself from open
	}
}

// examine notes whether what has just been accepted waited for longer than the limit.
func (c *connection) examine(limit time.Duration) {
	if limit > 0 && intake.Queued(c.conn) > limit {
		c.late.Store(true)
	}
}

// refuse reports, once, whether the request that begins is to be refused.
func (c *connection) refuse() bool {
	return c.late.Load() && c.late.Swap(false)
}
