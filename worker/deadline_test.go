//go:build linux

package worker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

func TestDeadline(t *testing.T) {
	tests := []struct {
		name     string
		set      func(f *fixture) // while draining
		min, max time.Duration
	}{
		{"as the board says", func(f *fixture) {}, 700 * time.Millisecond, 1400 * time.Millisecond},
		{"brought forward", func(f *fixture) { f.view.SetDrainUntil(in(500 * time.Millisecond)) }, 200 * time.Millisecond, 650 * time.Millisecond},
		{"at once", func(f *fixture) { f.view.SetDrainUntil(1) }, 0, 500 * time.Millisecond},
		{"master gone", func(f *fixture) {
			f.view.SetDrainUntil(in(forever))
			f.orphaned.Store(scoreboard.Monotonic())
		}, protocol.OrphanGrace - 50*time.Millisecond, protocol.OrphanGrace + time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			within(t, tt.min, tt.max, func() time.Duration {
				never := make(chan struct{})
				defer close(never)
				running := make(chan struct{}, 2)
				f := start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/hijack" {
						if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
							t.Error(err)
						}
					}
					running <- struct{}{}
					<-never
				})}, time.Second, hold(t))
				stuck, hijacked := dial(t, f.addr), dial(t, f.addr)
				stuck.send("/")
				hijacked.send("/hijack")
				await(t, running)
				await(t, running)
				begin := time.Now()
				f.view.SetDrainUntil(in(time.Second))
				f.drain()
				tt.set(f)
				f.awaitServed(t)
				took := time.Since(begin)
				stuck.awaitEOF(t)
				hijacked.awaitEOF(t)
				return took
			})
		})
	}
}

// A deadline that is brought forward is seen before it is over.
func TestTickOfDrain(t *testing.T) {
	if 2*drainTick > protocol.DrainMargin {
		t.Errorf("a drain looks every %v, and has %v", drainTick, protocol.DrainMargin)
	}
}

func TestLeaving(t *testing.T) {
	for _, leaving := range []bool{true, false} {
		t.Run(fmt.Sprint(leaving), func(t *testing.T) {
			t.Parallel()
			held := hold(t)
			f := start(t, &http.Server{Handler: http.HandlerFunc(ok)}, time.Second, held)
			dial(t, f.addr).mustGet(t, "/")
			f.view.SetDrainUntil(in(forever))
			if leaving {
				f.view.SetLeaving(1)
			}
			f.drain()
			c := dial(t, f.addr) // the test still holds the socket
			if !leaving {
				f.awaitServed(t)
				held.SetDeadline(time.Now().Add(forever))
				if _, err := held.Accept(); err != nil {
					t.Fatalf("the connection is not in the queue: %v", err)
				}
				return
			}
			begin := time.Now()
			if res := c.mustGet(t, "/"); !res.Close {
				t.Error("no Connection: close")
			}
			f.awaitServed(t)
			if d := time.Since(begin); d < protocol.QuietQueue-100*time.Millisecond {
				t.Errorf("closed a leaving socket after %v, want %v without a connection", d, protocol.QuietQueue)
			}
		})
	}
}

// TestDeadlineBeforeHTTP has a hook of the server set a deadline that net/http then moves.
func TestDeadlineBeforeHTTP(t *testing.T) {
	for _, deadline := range []time.Time{time.Unix(1, 0), time.Now().Add(forever)} {
		srv := &http.Server{Handler: http.HandlerFunc(ok), ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if err := conn.SetReadDeadline(deadline); err != nil {
				t.Error(err)
			}
			return ctx
		}}
		f := start(t, srv, forever, hold(t))
		c := dial(t, f.addr)
		c.mustGet(t, "/")
		c.mustGet(t, "/")
	}
}
