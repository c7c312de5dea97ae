//go:build unix

package worker

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/worker/internal/clock"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// A patience is the read deadline of a connection on which HTTP is served. net/http
// sets it six times for each request, to times that are hardly ever reached, and
// package net would set a timer for each of these. So only a deadline in the past is
// given to package net, and only if a read is waiting, which it ends. One in the future
// is noted, and the alarm that was set for an earlier one looks, when it goes off, what
// the deadline is by then: while requests come in faster than deadlines pass, none is
// set.
type patience struct {
	conn   net.Conn    // of package net
	defers atomic.Bool // false: every deadline is given to package net at once

	want    atomic.Int64                // the deadline in Monotonic nanoseconds; 0 for none, past for one that is over
	reads   atomic.Int32                // under way; counted before they look at want, which is written before this is looked at
	raised  atomic.Bool                 // package net has a deadline in the past; written with mu
	expired atomic.Pointer[net.OpError] // what a read gives for that, once it has

	mu    sync.Mutex  // held while package net is told
	alarm clock.Alarm // no later than the deadline
}

// epoch is when deadlines are counted from.
var epoch = scoreboard.Epoch()

// past is a deadline that is over, and what is before it is no later.
const past = 1

func (p *patience) init(conn net.Conn) {
	p.conn = conn
	p.alarm.Init(p.fire)
}

// set is SetReadDeadline.
func (p *patience) set(t time.Time) error {
	var want int64
	if !t.IsZero() {
		want = max(int64(t.Sub(epoch)), past)
	}
	p.want.Store(want)
	if !p.defers.Load() {
		return p.conn.SetReadDeadline(t)
	}
	if want == past || p.raised.Load() {
		if err := p.intervene(); err != nil {
			return err
		}
	}
	if want > past {
		p.arm(want)
	}
	return nil
}

// begin takes the deadlines over, also one that package net was given before.
func (p *patience) begin() {
	p.defers.Store(true)
	if want := p.want.Load(); want != 0 {
		_ = p.conn.SetReadDeadline(time.Time{}) // fails if it is closed
		p.arm(want)
	}
}

// read reads from what lies beneath the connection, by its deadline. A read may fail for
// one that has been moved meanwhile, and is done again.
func (p *patience) read(from io.Reader, data []byte) (int, error) {
	for {
		p.reads.Add(1)
		if p.defers.Load() {
			if p.want.Load() == past {
				p.reads.Add(-1)
				return 0, p.expiry()
			}
			if p.raised.Load() {
				_ = p.settle() // fails if the connection is closed, as the read then does
			}
		}
		n, err := from.Read(data)
		p.reads.Add(-1)
		if n > 0 || err == nil || !p.spurious(err) {
			return n, err
		}
	}
}

// expiry is the error of a read whose deadline is over, as package net gives it.
func (p *patience) expiry() error {
	if p.expired.Load() == nil {
		p.expired.Store(opError("read", p.conn, os.ErrDeadlineExceeded))
	}
	return p.expired.Load()
}

// opError is the error of an operation on a connection, as package net makes it.
func opError(op string, conn net.Conn, err error) *net.OpError {
	return &net.OpError{Op: op, Net: conn.LocalAddr().Network(), Source: conn.LocalAddr(), Addr: conn.RemoteAddr(), Err: err}
}

// over reports whether a deadline is.
func over(want int64) bool {
	return want == past || want > past && want <= scoreboard.Monotonic()
}

// intervene is settle if there is a read that needs it. One that begins from here on
// looks by itself.
func (p *patience) intervene() error {
	if p.reads.Load() == 0 {
		return nil
	}
	return p.settle()
}

// settle tells package net whether the deadline is over.
func (p *patience) settle() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		want := p.want.Load()
		if is := over(want); p.defers.Load() && is != p.raised.Load() {
			var t time.Time
			if is {
				t = time.Unix(past, 0)
			}
			if err := p.conn.SetReadDeadline(t); err != nil {
				return err
			}
			p.raised.Store(is)
		}
		// Whoever sets another one either sees what was raised, or is seen here.
		if p.want.Load() == want {
			return nil
		}
	}
}

// spurious reports whether a read that failed is to be done again, since it did so for
// a deadline that has been moved.
func (p *patience) spurious(err error) bool {
	return p.defers.Load() && !over(p.want.Load()) && errors.Is(err, os.ErrDeadlineExceeded) && p.settle() == nil
}

// arm has the alarm go off no later than the deadline.
func (p *patience) arm(want int64) {
	if p.alarm.By(want) && !p.defers.Load() {
		p.alarm.Stop() // end has just done so
	}
}

// fire is called by the alarm. A deadline that is set from here on finds the alarm
// unset; one that was set before is seen.
func (p *patience) fire(int64) {
	switch want := p.want.Load(); {
	case over(want):
		// If it has been moved just now, whoever did so sees to the rest.
		if p.want.CompareAndSwap(want, past) {
			_ = p.intervene() // a closed connection needs none
		}
	case want != 0:
		p.arm(want)
	}
}

// end leaves deadlines to package net from now on: for a connection that somebody
// else takes over, who may read it in ways that are not seen here, or that is closed.
func (p *patience) end() {
	if !p.defers.Swap(false) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alarm.Stop()
	var t time.Time
	if want := p.want.Load(); want != 0 {
		t = epoch.Add(time.Duration(want))
	}
	_ = p.conn.SetReadDeadline(t) // fails if it is closed
}
