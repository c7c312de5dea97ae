package httpd

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// need is how much a connection needs its place, from least to most.
type need int

const (
	idle    need = iota // between two requests
	asking              // has not sent a whole request
	unread              // the client does not take the answer
	working             // the handler is at work
)

// conn is an accepted connection.
type conn struct {
	net.Conn
	server *Server

	// Guarded by the server's mutex.
	need    need
	since   time.Time // the need is that
	writing time.Time // a write is under way since then; zero: none is
	busy    bool      // being answered, or may be about to ask
}

// judged is what the connection needs its place for, and since when.
func (c *conn) judged() (need, time.Time) {
	if c.need == working && !c.writing.IsZero() {
		return unread, c.writing
	}
	return c.need, c.since
}

// become notes that the connection needs its place for something else.
func (c *conn) become(n need) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.becomeLocked(n)
}

func (c *conn) becomeLocked(n need) {
	c.need, c.since = n, time.Now()
	c.server.changed.Broadcast()
}

// Write notes that it is under way, as it blocks where nobody reads.
func (c *conn) Write(p []byte) (int, error) {
	c.wrote(time.Now())
	defer c.wrote(time.Time{})
	return c.Conn.Write(p)
}

func (c *conn) wrote(at time.Time) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.writing = at
}

// Close gives the place back, which net/http does once or more.
func (c *conn) Close() error {
	c.server.leave(c)
	return c.Conn.Close()
}

// key is that of a request's connection in its context.
type key struct{}

// attended notes for how long the handler is at work on a request: from when that
// has arrived as a whole, since until then it is the client who is waited for.
func attended(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := r.Context().Value(key{}).(*conn)
		defer c.become(asking) // the rest of a body that nobody has read, perhaps
		if r.Body == http.NoBody {
			c.become(working)
		} else {
			r.Body = &body{r.Body, c}
		}
		next.ServeHTTP(w, r)
	})
}

// body is that of a request, which is whole when its end has been read.
type body struct {
	io.ReadCloser
	conn *conn
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.conn.become(working)
	}
	return n, err
}

// withConn puts the connection into the context of its requests.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, key{}, c)
}
