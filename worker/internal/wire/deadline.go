// Package wire has what lies between package net and the connections of a server: read
// deadlines without timers, and what the kernel knows of what was sent.
package wire

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

// A ReadDeadline is that of a connection on which HTTP is served. net/http
// sets it six times for each request, to times that are hardly ever reached, and
// package net would set a timer for each of these. So only a deadline in the past is
// given to package net, and only if a read is waiting, which it ends. One in the future
// is noted, and the alarm that was set for an earlier one looks, when it goes off, what
// the deadline is by then: while requests come in faster than deadlines pass, none is
// set.
type ReadDeadline struct {
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

// Init prepares the deadline of a connection of package net.
func (d *ReadDeadline) Init(conn net.Conn) {
	d.conn = conn
	d.alarm.Init(d.fire)
}

// Set is SetReadDeadline.
func (d *ReadDeadline) Set(t time.Time) error {
	var want int64
	if !t.IsZero() {
		want = max(int64(t.Sub(epoch)), past)
	}
	d.want.Store(want)
	if !d.defers.Load() {
		return d.conn.SetReadDeadline(t)
	}
	if want == past || d.raised.Load() {
		if err := d.intervene(); err != nil {
			return err
		}
	}
	if want > past {
		d.arm(want)
	}
	return nil
}

// Begin takes the deadlines over, also one that package net was given before.
func (d *ReadDeadline) Begin() {
	d.defers.Store(true)
	if want := d.want.Load(); want != 0 {
		_ = d.conn.SetReadDeadline(time.Time{}) // fails if it is closed
		d.arm(want)
	}
}

// Read reads from what lies beneath the connection, by its deadline. A read may fail for
// one that has been moved meanwhile, and is done again.
func (d *ReadDeadline) Read(from io.Reader, data []byte) (int, error) {
	for {
		d.reads.Add(1)
		if d.defers.Load() {
			if d.want.Load() == past {
				d.reads.Add(-1)
				return 0, d.expiry()
			}
			if d.raised.Load() {
				_ = d.tell() // fails if the connection is closed, as the read then does
			}
		}
		n, err := from.Read(data)
		d.reads.Add(-1)
		if n > 0 || err == nil || !d.spurious(err) {
			return n, err
		}
	}
}

// expiry is the error of a read whose deadline is over, as package net gives it.
func (d *ReadDeadline) expiry() error {
	if d.expired.Load() == nil {
		d.expired.Store(opError("read", d.conn, os.ErrDeadlineExceeded))
	}
	return d.expired.Load()
}

// opError is the error of an operation on a connection, as package net makes it.
func opError(op string, conn net.Conn, err error) *net.OpError {
	return &net.OpError{Op: op, Net: conn.LocalAddr().Network(), Source: conn.LocalAddr(), Addr: conn.RemoteAddr(), Err: err}
}

// over reports whether a deadline is.
func over(want int64) bool {
	return want == past || want > past && want <= scoreboard.Monotonic()
}

// intervene is tell if there is a read that needs it. One that begins from here on
// looks by itself.
func (d *ReadDeadline) intervene() error {
	if d.reads.Load() == 0 {
		return nil
	}
	return d.tell()
}

// tell tells package net whether the deadline is over.
func (d *ReadDeadline) tell() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		want := d.want.Load()
		if is := over(want); d.defers.Load() && is != d.raised.Load() {
			var t time.Time
			if is {
				t = time.Unix(past, 0)
			}
			if err := d.conn.SetReadDeadline(t); err != nil {
				return err
			}
			d.raised.Store(is)
		}
		// Whoever sets another one either sees what was raised, or is seen here.
		if d.want.Load() == want {
			return nil
		}
	}
}

// spurious reports whether a read that failed is to be done again, since it did so for
// a deadline that has been moved.
func (d *ReadDeadline) spurious(err error) bool {
	return d.defers.Load() && !over(d.want.Load()) && errors.Is(err, os.ErrDeadlineExceeded) && d.tell() == nil
}

// arm has the alarm go off no later than the deadline.
func (d *ReadDeadline) arm(want int64) {
	if d.alarm.By(want) && !d.defers.Load() {
		d.alarm.Stop() // End has just done so
	}
}

// fire is called by the alarm. A deadline that is set from here on finds the alarm
// unset; one that was set before is seen.
func (d *ReadDeadline) fire(int64) {
	switch want := d.want.Load(); {
	case over(want):
		// If it has been moved just now, whoever did so sees to the rest.
		if d.want.CompareAndSwap(want, past) {
			_ = d.intervene() // a closed connection needs none
		}
	case want != 0:
		d.arm(want)
	}
}

// End leaves deadlines to package net from now on: for a connection that somebody
// else takes over, who may read it in ways that are not seen here, or that is closed.
func (d *ReadDeadline) End() {
	if !d.defers.Swap(false) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alarm.Stop()
	var t time.Time
	if want := d.want.Load(); want != 0 {
		t = epoch.Add(time.Duration(want))
	}
	_ = d.conn.SetReadDeadline(t) // fails if it is closed
}
