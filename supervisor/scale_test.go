//go:build linux

package supervisor

import (
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// BenchmarkTick is one wake-up of the loop, with what it does around it, while so
// many workers serve and have their boards looked at now and then.
func BenchmarkTick(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := load(b, fmt.Sprintf("workers = %d\nready = \"notify\"\nwatchdog = \"1h\"\n", n))
			s, err := newSupervisor(Options{Config: c, Log: zap.NewNop(), Streams: toStderr{}}, hands{
				launch:  func(_ *Supervisor, w *worker, _ func(int, error)) (int, error) { return noPID + w.ID, nil },
				reap:    func(func(int) bool) ([]process.Exit, []process.Orphan, error) { return nil, nil, nil },
				adopted: nobody,
				trim:    func() {},
				oom:     func() (uint64, bool) { return 0, false },
			})
			if err != nil {
				b.Fatal(err)
			}
			defer s.current.sockets.Close()
			s.step(fleet.Tick{})
			for id := 1; id <= n; id++ {
				s.hear(message{id: id, Message: notify.Message{Ready: true, Watchdog: true}})
			}
			s.step()
			if !s.fleet.Up() {
				b.Fatal(s.summary(time.Now(), s.phase()))
			}
			for b.Loop() {
				s.tick()
				s.inform()
				if s.deadline().IsZero() {
					b.Fatal("it would not wake up again")
				}
			}
		})
	}
}
