//go:build linux

package supervisor

import (
	"fmt"
	"io/fs"
	"iter"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
	"github.com/gosuper/gosuper/supervisor/internal/signs"
)

// serving returns a master of so many workers that serve, whose loop does not run.
func serving(t testing.TB, n int) *Supervisor {
	t.Helper()
	c := load(t, fmt.Sprintf("workers = %d\nready = \"notify\"\nwatchdog = \"1h\"\n", n))
	s, err := newSupervisor(Options{Config: c, Log: zap.NewNop(), Streams: toStderr{}}, hands{
		launch: func(w *roster.Worker, _ func(int, error)) (int, error) { return noPID + w.ID, nil },
		reap:   func(func(int) bool, iter.Seq[int]) ([]process.Exit, []process.Orphan, error) { return nil, nil, nil },
		guests: none, adopted: nobody,
		trees: func([]int) ([]scales.Tree, error) { return nil, fs.ErrNotExist },
		trim:  func() {},
		oom:   func() (uint64, bool) { return 0, false },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.revisions.Current.Sockets.Close() })
	s.step(fleet.Tick{})
	for id := 1; id <= n; id++ {
		s.signs.Hear(signs.Message{ID: id, Message: notify.Message{Ready: true, Watchdog: true}})
	}
	s.step()
	if !s.fleet.Up() {
		t.Fatal(s.report.Summary(time.Now()))
	}
	return s
}

// nobody is what a master has adopted whose workers are not real.
func nobody(func(int) bool) []process.Orphan { return nil }

// BenchmarkTick is one wake-up of the loop, with what it does around it, while so
// many workers serve and have their boards looked at now and then.
func BenchmarkTick(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := serving(b, n)
			for b.Loop() {
				s.tick()
				s.report.Inform(time.Now())
				if s.deadline().IsZero() {
					b.Fatal("it would not wake up again")
				}
			}
		})
	}
}

// A status interrupts the loop less often than there are workers.
func TestStatusInterruptsRarely(t *testing.T) {
	const workers = 100
	s := serving(t, workers)
	over, visits := make(chan error, 1), 0
	go func() {
		st, err := s.api().Status(t.Context(), true)
		if err == nil && (len(st.Workers) != workers || st.Requests == nil) {
			err = fmt.Errorf("%d workers and %v", len(st.Workers), st.Requests)
		}
		over <- err
	}()
	for {
		select {
		case do := <-s.loop.C:
			do()
			visits++
			continue
		case err := <-over:
			if err != nil {
				t.Error(err)
			}
		}
		break
	}
	if visits > workers/10 {
		t.Errorf("the loop was interrupted %d times", visits)
	}
}
