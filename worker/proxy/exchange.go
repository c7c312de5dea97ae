//go:build linux

package proxy

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"
)

// An exchange is one request and its answer.
type exchange struct {
	upstream *upstream
	ctx      context.Context
	reused   bool        // the connection had requests before
	sent     bool        // a byte of the request is on its way
	early    bool        // the program took no more of it, and may have answered
	written  chan error  // how the sending ended; nil: it has, and well
	over     atomic.Bool // the connection was given back or closed
	release  func() bool // see context.AfterFunc

	mu       sync.Mutex // guards what follows
	conn     *conn
	canceled bool
}

// inlineBody is the size of a body up to which it is sent before the answer is looked for.
const inlineBody = 2 << 10

// writtenGrace is how long after an answer its request may still be on its way for the
// connection to be used again.
const writtenGrace = time.Millisecond

// writers are those of requests that were sent.
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4<<10) }}

// run sends the request and reads the header of the answer.
func (x *exchange) run(req *http.Request) (*http.Response, error) {
	x.release = context.AfterFunc(x.ctx, x.cancel)
	begun := make(chan error, 1)
	if 0 <= req.ContentLength && req.ContentLength <= inlineBody && len(req.TransferEncoding) == 0 {
		if err := sendTo(x, req); err != nil && !x.early {
			return nil, x.fail(err)
		}
	} else {
		x.written = make(chan error, 1)
		started := &starter{exchange: x, begun: begun}
		go func() {
			err := sendTo(started, req)
			if started.tell(err); err != nil && !x.early {
				x.cancel() // the body was broken off, and the program would wait for the rest
			}
			x.written <- err
		}()
		if err := <-begun; err != nil {
			return nil, x.fail(err)
		}
	}
	return x.receive(req)
}

// sendTo sends all of the request.
func sendTo(w io.Writer, req *http.Request) error {
	buffered := writers.Get().(*bufio.Writer)
	buffered.Reset(w)
	err := req.Write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	buffered.Reset(nil)
	writers.Put(buffered)
	return err
}

// Write writes to the connection. One that had requests before and takes not one byte is
// replaced.
func (x *exchange) Write(data []byte) (int, error) {
	n, err := x.conn.Conn.Write(data)
	if err == nil || n > 0 || x.sent || !x.reused {
		x.sent = x.sent || n > 0
		x.early = err != nil && x.sent
		return n, err
	}
	c, dialErr := x.upstream.fresh(x.ctx)
	if dialErr != nil {
		return 0, dialErr
	}
	x.mu.Lock()
	x.conn.Close()
	x.conn, x.reused = c, false
	if x.canceled {
		c.Close()
	}
	x.mu.Unlock()
	return x.Write(data)
}

// A starter tells when the first bytes are sent, for then the connection stays what it is.
type starter struct {
	*exchange
	begun chan<- error
	told  bool
}

func (s *starter) Write(data []byte) (int, error) {
	n, err := s.exchange.Write(data)
	s.tell(err)
	return n, err
}

func (s *starter) tell(err error) {
	if !s.told {
		s.told = true
		s.begun <- err
	}
}

// receive reads the header of the final answer.
func (x *exchange) receive(req *http.Request) (*http.Response, error) {
	c := x.conn
	for {
		c.budget = maxHeader
		res, err := http.ReadResponse(c.r, req)
		c.budget = -1
		if err != nil {
			return nil, x.fail(err)
		}
		switch {
		case res.StatusCode == http.StatusSwitchingProtocols:
			x.release()
			res.Body = upgraded{c}
			return res, nil
		case res.StatusCode == http.StatusContinue: // the client was told by net/http
		case res.StatusCode < 200:
			trace := httptrace.ContextClientTrace(x.ctx)
			if trace == nil || trace.Got1xxResponse == nil {
				continue
			}
			if err := trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, x.fail(err)
			}
		default:
			keep := !res.Close && !req.Close
			if res.Body == http.NoBody {
				x.end(keep)
			} else {
				res.Body = &body{ReadCloser: res.Body, exchange: x, keep: keep}
			}
			return res, nil
		}
	}
}

// fail closes the connection and returns why there is no answer.
func (x *exchange) fail(err error) error {
	x.end(false)
	if cause := context.Cause(x.ctx); cause != nil {
		return cause
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// cancel ends the exchange.
func (x *exchange) cancel() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.canceled = true
	x.conn.SetDeadline(time.Unix(1, 0)) // closing it is for end
}

// end gives the connection back, if it can be used again, or closes it.
func (x *exchange) end(keep bool) {
	if x.over.Swap(true) {
		return
	}
	if x.written != nil {
		select {
		case err := <-x.written:
			keep = keep && err == nil
		case <-time.After(writtenGrace):
			keep = false
		}
	}
	if !x.release() || !keep || x.conn.r.Buffered() > 0 {
		x.mu.Lock()
		x.conn.Close()
		x.mu.Unlock()
		return
	}
	x.upstream.put(x.conn)
}

// body is that of an answer.
type body struct {
	io.ReadCloser
	exchange *exchange
	keep     bool
}

func (b *body) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	if err == io.EOF {
		b.exchange.end(b.keep)
	} else if err != nil {
		b.exchange.end(false)
	}
	return n, err
}

// Close closes the connection as well, unless all was read.
func (b *body) Close() error {
	b.exchange.end(false)
	return nil
}

// upgraded is a connection that speaks another protocol now. What came with the answer is
// read first.
type upgraded struct{ *conn }

func (u upgraded) Read(data []byte) (int, error) { return u.r.Read(data) }
