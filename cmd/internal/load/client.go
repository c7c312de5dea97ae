package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// retreat is the pause after a dial that failed, so that a closed port is not
// dialled a hundred thousand times a second.
const retreat = 5 * time.Millisecond

// request is the request as it goes over the wire.
func (p Plan) request() []byte {
	method, path := p.Method, p.Path
	if method == "" {
		method = http.MethodGet
	}
	if path == "" {
		path = "/"
	}
	host := p.Addr
	if p.Network == "unix" {
		host = "unix"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	if p.Body != "" || method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(p.Body))
	}
	if p.Mode == NewConnection {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n" + p.Body)
	return []byte(b.String())
}

// client sends one request after the other.
type client struct {
	plan    Plan
	request []byte
	result  *Result

	conn   *timedConn    // nil: none is open
	reader *bufio.Reader // of this client
	used   int           // requests sent on it

	heard   time.Time     // when the request was sent, or something came last
	silence time.Duration // before that
}

func (c *client) run(ctx context.Context, next func() bool) {
	defer c.close()
	for next() {
		a := c.one()
		c.result.note(a)
		if c.plan.Seen != nil {
			c.plan.Seen(a)
		}
		pause := c.plan.Pause
		if a.Kind == Dial {
			pause = max(pause, retreat)
		}
		rest(ctx, pause)
	}
}

// rest waits for so long, or until the context ends.
func rest(ctx context.Context, pause time.Duration) {
	if pause <= 0 {
		return
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}

// one sends a request and reads its answer.
func (c *client) one() Answer {
	a := Answer{Start: time.Now()}
	c.heard, c.silence = a.Start, 0
	a.Kind, a.Err = c.exchange(&a)
	a.Took, a.Silence = time.Since(a.Start), c.silence
	a.Unread = min(a.Unread, a.Took) // the clocks differ
	if a.Kind != Complete || c.plan.Mode == NewConnection || c.used == c.plan.PerConnection {
		c.close()
	}
	if errors.Is(a.Err, os.ErrDeadlineExceeded) {
		a.Kind = Late
	}
	return a
}

func (c *client) exchange(a *Answer) (Kind, error) {
	until := a.Start.Add(c.plan.Timeout)
	if c.conn == nil {
		dialer := net.Dialer{Deadline: until, KeepAlive: -1}
		conn, err := dialer.Dial(c.plan.Network, c.plan.Addr)
		if err != nil {
			return Dial, err
		}
		c.result.Connections++
		c.conn = timed(conn)
		c.reader, c.used = bufio.NewReader(c), 0
	}
	c.used++
	a.First = c.used == 1
	a.Local = c.conn.LocalAddr().String()
	if err := c.conn.SetDeadline(until); err != nil {
		return Write, err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return Write, err
	}
	if _, err := c.reader.Peek(1); err != nil {
		return NoAnswer, err
	}
	answer, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return c.broken(err), err
	}
	defer answer.Body.Close()
	if pid, err := strconv.Atoi(answer.Header.Get("X-Worker-Pid")); err == nil {
		a.Pid = pid
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return c.broken(err), err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return Status, errors.New(answer.Status)
	}
	if !c.conn.arrived.IsZero() {
		a.Unread = max(time.Since(c.conn.arrived), 0)
	}
	if answer.Close {
		c.close()
	}
	return Complete, nil
}

// Read reads from the connection and notes how long that took.
func (c *client) Read(data []byte) (int, error) {
	n, err := c.conn.Read(data)
	now := time.Now()
	c.heard, c.silence = now, now.Sub(c.heard)
	return n, err
}

// broken tells an answer that ended too early from one that is none. The parser
// of headers does not say that it met the end.
func (c *client) broken(err error) Kind {
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return Cut
	}
	if _, err := c.reader.Peek(1); err == io.EOF {
		return Cut
	}
	return Garbled
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
