//go:build linux

package scales

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/state"
)

// ended has so many be explained that ended together, and returns what is said of each and
// how long that took.
func (s *Scales) ended(l *loop.Loop, n int) (kernel []bool, took time.Duration) {
	begin := time.Now()
	l.Report(func() {
		s.CountKills(l)
		for range n {
			s.OutOfMemory(func(is bool) { kernel = append(kernel, is) })
		}
	})
	over := make(chan struct{})
	l.Report(func() { s.Counted(func() { close(over) }) })
	<-over
	synctest.Wait() // also where nobody waits
	return kernel, time.Since(begin)
}

// serve is a loop whose owner does what it is asked to, until it is stopped.
func serve() (l *loop.Loop, stop func()) {
	l = loop.New()
	over := make(chan struct{})
	go func() {
		defer l.End()
		l.Await(over, 24*time.Hour)
	}()
	return l, func() { close(over) }
}

// A count that cannot be read says nothing, and what rose meanwhile is told later, also
// by another image of the master. Of those that ended together as many were killed as it
// rose by, and what rose by more was something else.
func TestOutOfMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := serve()
		defer stop()
		kills, readable := uint64(3), true
		count := func() (uint64, bool) { return kills, readable }
		s := New()
		s.Attach(nil, count)
		s.FirstKills()
		for i, c := range []struct {
			kills    uint64
			readable bool
			want     []bool
		}{
			{3, true, []bool{false}},
			{4, true, []bool{true, false}},
			{4, true, []bool{false}},
			{0, false, []bool{false}},
			{5, true, []bool{true}},
			{9, true, []bool{true, true}},
			{9, true, []bool{false}},
			{10, true, nil},
			{10, true, []bool{false}},
		} {
			kills, readable = c.kills, c.readable
			text, _, err := state.Write(s, time.Unix(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			s = New()
			if _, err := state.Read(text, s, time.Unix(0, 0)); err != nil {
				t.Fatal(err)
			}
			s.Attach(nil, count)
			if got, took := s.ended(l, len(c.want)); !slices.Equal(got, c.want) || took > 0 {
				t.Errorf("step %d: it was the kernel: %v after %v, want %v", i, got, took, c.want)
			}
		}
	})
}

// A kernel that does not answer is waited for once, and for no longer than a moment. When it
// does answer it is asked again, and nobody is blamed for those that it killed before.
func TestCountHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, stop := serve()
		defer stop()
		hang, asked, kills := make(chan struct{}), 0, uint64(0)
		s := New()
		s.Attach(nil, func() (uint64, bool) {
			asked++
			<-hang
			return kills, true
		})
		for _, want := range []time.Duration{countTime, 0, 0} {
			if got, took := s.ended(l, 1); !slices.Equal(got, []bool{false}) || took != want || asked != 1 {
				t.Errorf("it was the kernel: %v after %v, want %v, and it is asked %d times", got, took, want, asked)
			}
			kills++
		}
		close(hang)
		synctest.Wait()
		for i, want := range []bool{false, true} {
			if got, took := s.ended(l, 1); !slices.Equal(got, []bool{want}) || took != 0 || asked != 3+i {
				t.Errorf("it was the kernel: %v after %v, want %v, and it is asked %d times", got, took, want, asked)
			}
			kills++
		}
	})
}
