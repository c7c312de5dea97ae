//go:build linux

package supervisor

import (
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// many is how many workers die at once.
const many = 256

// BenchmarkDeath is the death of many workers at once: how long the loop was deaf at
// most until each has a successor, or is gone, and how long that took. They are killed
// by somebody, or by the master, with the processes that each has started, since they do
// not heed their stop signal.
func BenchmarkDeath(b *testing.B) {
	b.Run("killed", func(b *testing.B) {
		reportDeaths(b, func(s *Supervisor, m *multitude) (deaf, took time.Duration) {
			var pids []int
			s.loop.Report(func() {
				pids = slices.Collect(s.roster.PIDs())
			})
			begin := time.Now()
			for _, pid := range pids {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			deaf = m.wait(b, s, "worker started", 2*many)
			took = time.Since(begin)
			m.wait(b, s, "worker ready", 2*many)
			m.end(b, s)
			return deaf, took
		})
	})
	b.Run("trees", func(b *testing.B) {
		reportDeaths(b, func(s *Supervisor, m *multitude) (deaf, took time.Duration) {
			s.loop.Report(func() { s.handle(syscall.SIGQUIT) })
			begin := time.Now()
			deaf = m.wait(b, s, "worker gone", many)
			return deaf, time.Since(begin)
		})
	})
}

// multitude is a master with many workers.
type multitude struct {
	ended <-chan error
	lines map[string]*atomic.Int32 // of the log, by message
	last  atomic.Int64             // when the last of these was written
}

// reportDeaths reports what becomes of masters with many workers that serve.
func reportDeaths(b *testing.B, die func(*Supervisor, *multitude) (deaf, took time.Duration)) {
	var deaf, took time.Duration
	for b.Loop() {
		m := &multitude{lines: map[string]*atomic.Int32{"worker started": {}, "worker ready": {}, "killing worker": {}, "worker gone": {}}}
		log := zap.New(&counter{LevelEnabler: zapcore.InfoLevel, line: func(message string) {
			if n := m.lines[message]; n != nil {
				m.last.Store(time.Now().UnixNano())
				n.Add(1)
			}
		}})
		c := load(b, fmt.Sprintf("workers = %d\nready = \"100ms\"\n", many))
		c.Command = []string{"/bin/sh", "-c", "trap '' TERM; sleep 600 & exec sleep 600"}
		var s *Supervisor
		s, m.ended = real(b, c, log)
		m.wait(b, s, "worker ready", many)
		d, t := die(s, m)
		deaf, took = max(deaf, d), took+t
		if err := <-m.ended; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(took)/float64(b.N)/float64(time.Millisecond), "ms/all")
	b.ReportMetric(float64(deaf)/float64(time.Millisecond), "ms-deaf")
}

// wait waits for so many lines of the log, or the end of the master, and returns how long the loop was deaf at most
// until then.
func (m *multitude) wait(b *testing.B, s *Supervisor, message string, lines int) (deaf time.Duration) {
	b.Helper()
	for m.lines[message].Load() < int32(lines) {
		asked := time.Now()
		if s.loop.Do(b.Context(), func() {}) != nil { // it has ended
			return max(deaf, time.Unix(0, m.last.Load()).Sub(asked))
		}
		deaf = max(deaf, time.Since(asked))
		time.Sleep(time.Millisecond) // between two questions
	}
	return deaf
}

// end ends the master.
func (m *multitude) end(b *testing.B, s *Supervisor) {
	s.loop.Report(func() { s.handle(syscall.SIGQUIT) })
}
