//go:build linux

package proxy

import (
	"bufio"
	"bytes"
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
	req      *http.Request
	ctx      context.Context // of req
	streamed chan error      // how the sending of the request beside its answer ended; nil: it was sent before
	refused  bool            // the program took no more of it, and may have answered; for who sends
	over     atomic.Bool     // the connection was given back or closed
	release  func() bool     // see context.AfterFunc

	mu       sync.Mutex // guards what follows
	conn     *conn
	canceled bool
	body     error // why the body of the request could not be read to its end
}

// A bodyError is what went wrong with the body of a request, on the client's side.
type bodyError struct{ error }

func (e bodyError) Unwrap() error { return e.error }

const (
	// wholeBody is the size of a body up to which a request is sent in one piece, before
	// the answer is looked for.
	wholeBody = 2 << 10
	// streamedGrace is how long after an answer its request may still be on its way for
	// the connection to be used again.
	streamedGrace = time.Millisecond
	// maxPooled is the size up to which what holds a request is kept for the next.
	maxPooled = 16 << 10
)

var (
	requests = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	writers  = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 4<<10) }}
)

// RoundTrip sends a request and returns the answer, whose body is still to be read. It
// returns as soon as the header of that is there, also if the body of the request is
// still being sent.
func (u *upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{upstream: u, req: req, ctx: req.Context()}
	if req.ContentLength < 0 || req.ContentLength > wholeBody || len(req.TransferEncoding) > 0 {
		return x.stream(req)
	}
	request := requests.Get().(*bytes.Buffer)
	defer func() {
		if request.Cap() <= maxPooled {
			request.Reset()
			requests.Put(request)
		}
	}()
	if err := req.Write(request); err != nil {
		return nil, bodyError{err}
	}
	return x.whole(req, request.Bytes())
}

// whole sends a request that is there in one piece, on a connection that had others
// before if there is one.
func (x *exchange) whole(req *http.Request, data []byte) (*http.Response, error) {
	reused := true
	if x.conn = x.upstream.take(); x.conn == nil {
		var err error
		if x.conn, err = x.upstream.fresh(req); err != nil {
			return nil, err
		}
		reused = false
	}
	return x.sendWhole(req, data, reused)
}

// sendWhole sends it on the connection at hand. If that had others before, and the program
// has not got one byte of it, a fresh one is tried.
func (x *exchange) sendWhole(req *http.Request, data []byte, reused bool) (*http.Response, error) {
	x.release = context.AfterFunc(x.ctx, x.cancel)
	for {
		if x.conn.again {
			data = marked(data, x.upstream.others.secret.mark(req.Header))
		}
		before := x.conn.sent
		n, err := x.conn.Write(data)
		if err == nil || n > 0 { // the program may have answered what it has got
			var res *http.Response
			if res, err = x.receive(req); err == nil {
				return res, nil
			}
		}
		if !reused || x.conn.sent > before && !x.conn.unheard(before) || x.replace() != nil {
			return nil, x.fail(err)
		}
		reused = false
	}
}

// replace gives the exchange a fresh connection.
func (x *exchange) replace() error {
	c, err := x.upstream.fresh(x.req)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.conn.Close()
	x.conn = c
	if x.canceled {
		c.SetDeadline(past)
	}
	return nil
}

// stream sends a request while its answer is looked for. That is not there to be sent
// again, and so has a fresh connection, which the program does not close before it has
// looked at it.
func (x *exchange) stream(req *http.Request) (*http.Response, error) {
	var err error
	if x.conn, err = x.upstream.fresh(req); err != nil {
		return nil, err
	}
	if x.conn.again {
		req.Header.Set(againHeader, x.upstream.others.secret.mark(req.Header))
	}
	x.release = context.AfterFunc(x.ctx, x.cancel)
	x.streamed = make(chan error, 1)
	go func() {
		err := x.send(req)
		if err != nil && !x.refused { // the program would wait for the rest
			x.mu.Lock()
			x.body = bodyError{err}
			x.mu.Unlock()
			x.cancel()
		}
		x.streamed <- err
	}()
	res, err := x.receive(req)
	if err != nil {
		return nil, x.fail(err)
	}
	return res, nil
}

// send sends all of the request.
func (x *exchange) send(req *http.Request) error {
	buffered := writers.Get().(*bufio.Writer)
	buffered.Reset(x)
	err := req.Write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	buffered.Reset(nil)
	writers.Put(buffered)
	return err
}

// Write writes to the connection, for send.
func (x *exchange) Write(data []byte) (int, error) {
	n, err := x.conn.Write(data)
	x.refused = err != nil
	return n, err
}

// receive reads the header of the final answer.
func (x *exchange) receive(req *http.Request) (*http.Response, error) {
	c := x.conn
	c.budget = maxHeader
	defer func() { c.budget = -1 }()
	for {
		res, err := http.ReadResponse(c.r, req)
		c.heard = c.heard || c.budget < maxHeader
		if err != nil {
			return nil, err
		}
		switch {
		case res.StatusCode == http.StatusSwitchingProtocols:
			x.patient()
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
				return nil, err
			}
		default:
			keep := !res.Close && !req.Close && !c.again
			x.patient()
			if res.Body == http.NoBody {
				x.end(keep)
			} else {
				res.Body = &body{ReadCloser: res.Body, exchange: x, keep: keep}
			}
			return res, nil
		}
	}
}

// patient is for an answer that has begun: the rest may take as long as it likes.
func (x *exchange) patient() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conn.again && !x.canceled {
		x.conn.SetReadDeadline(time.Time{})
	}
}

// fail closes the connection and returns why there is no answer.
func (x *exchange) fail(err error) error {
	x.end(false)
	x.mu.Lock()
	defer x.mu.Unlock()
	switch cause := context.Cause(x.ctx); {
	case cause != nil:
		return cause
	case x.body != nil:
		return x.body
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// cancel ends the exchange.
func (x *exchange) cancel() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.canceled = true
	x.conn.SetDeadline(past) // closing it is for end
}

// end gives the connection back, if it can be used again, or closes it.
func (x *exchange) end(keep bool) {
	if x.over.Swap(true) {
		return
	}
	if keep && x.streamed != nil {
		select {
		case err := <-x.streamed:
			keep = err == nil
		case <-time.After(streamedGrace):
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
