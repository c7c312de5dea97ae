//go:build linux

package scales

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// What takes long to measure is measured rarely, and judged all the same.
func TestMemoryOfTheLarge(t *testing.T) {
	f := New()
	its, begin := &suspicion{}, time.Now()
	for i, c := range []struct {
		after time.Duration
		bytes uint64
		want  time.Duration
	}{{0, 90, -1}, {time.Second, 110, 0}, {5 * time.Second, 110, 4 * time.Second}, {5 * time.Second, 110, 4 * time.Second}, {9 * time.Second, 100, -1}, {13 * time.Second, 101, 0}} {
		f.by[1] = &figure{at: begin.Add(c.after), bytes: c.bytes}
		if got := its.over(f.of(1), 100); got != c.want {
			t.Errorf("figure %d: over the limit for %v, want %v", i, got, c.want)
		}
	}
}

// A slot loses a worker to its soft limit once in a while at most.
func TestMayRecycle(t *testing.T) {
	s, now := New(), time.Now()
	if !s.MayRecycle(1, now) || s.MayRecycle(1, now.Add(recyclePause-1)) || !s.MayRecycle(2, now.Add(recyclePause-1)) || !s.MayRecycle(1, now.Add(recyclePause)) {
		t.Errorf("slots that lost one: %v", s.recycled)
	}
}

// tree is the processes of a worker that takes so many bytes.
type tree uint64

func (t tree) Resident() uint64            { return uint64(t) }
func (t tree) Private() (uint64, error)    { return uint64(t), nil }
func (t tree) CPU() (time.Duration, error) { return 0, nil }

func (t tree) Memory() (uint64, process.MemoryKind, error) { return uint64(t), process.PSS, nil }

// TestWatch: workers are looked at beside the loop as long as one has a limit, and what
// cannot be looked at now can be later.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, end := serve()
		// All of these belong to the loop, but for trees, which are asked for by the
		// watch alone and change while that sleeps.
		weights, blind := map[int]tree{1: 50, 2: 50}, false
		loads := []Load{{Worker: Worker{ID: 1, PID: 1}, Soft: 100}, {Worker: Worker{ID: 2, PID: 2}, Hard: 200}}
		var heavy []int
		asked, complaints := 0, 0
		s := New()
		s.Attach(func(pids []int) (all []Tree, err error) {
			if blind {
				return nil, errors.New("too many open files")
			}
			for _, pid := range pids {
				all = append(all, weights[pid])
			}
			return all, nil
		}, nil)
		w := Workers{
			Loads:    func() ([]Load, map[int]bool) { asked++; return loads, map[int]bool{1: true, 2: true} },
			Exceed:   func(all []Excess) { heavy = append(heavy, all[0].ID) },
			Complain: func(error) { complaints++ },
		}
		in := func(do func()) {
			t.Helper()
			time.Sleep(5 * time.Second) // in the time of the bubble
			synctest.Wait()
			l.Report(do)
		}
		l.Report(func() {
			s.Watch(l, w)
			s.Watch(l, w)
		})
		in(func() {
			if asked < 9 || asked > 11 || len(heavy) > 0 {
				t.Errorf("asked %d times in 5 s, of which there are to be 2 each, and %v are too heavy", asked, heavy)
			}
			weights[2] = 201
		})
		in(func() {
			if !slices.Contains(heavy, 2) || slices.Contains(heavy, 1) {
				t.Errorf("too heavy are %v, want the second", heavy)
			}
			weights[1], weights[2], heavy = 101, 50, nil
		})
		in(func() {
			if !slices.Contains(heavy, 1) || slices.Contains(heavy, 2) {
				t.Errorf("too heavy are %v, want the first", heavy)
			}
			blind, heavy = true, nil
		})
		in(func() {
			if complaints != 1 || len(heavy) > 0 {
				t.Errorf("%d complaints, and %v are too heavy that cannot be seen", complaints, heavy)
			}
			blind, loads = false, nil
		})
		in(func() { asked = 0 })
		in(func() {
			if asked > 0 || s.watching {
				t.Errorf("asked %d times without a limit", asked)
			}
			loads = []Load{{Worker: Worker{ID: 1, PID: 1}, Hard: 100}}
			s.Watch(l, w)
		})
		in(func() {
			if !slices.Contains(heavy, 1) {
				t.Errorf("too heavy are %v, want the first", heavy)
			}
		})
		end()
	})
}

// TestStill: what does not change is looked at rarely, but not where there is a limit that
// kills, nor for long after there is somebody else.
func TestStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, end := serve()
		weight, loads := tree(50), []Load{{Worker: Worker{ID: 1, PID: 1}, Soft: 100}} // of the loop, as above
		var looks []time.Time
		heavy := 0
		s := New()
		s.Attach(func(pids []int) (all []Tree, err error) {
			for range pids {
				all = append(all, weight)
			}
			return all, nil
		}, nil)
		w := Workers{
			Loads: func() ([]Load, map[int]bool) {
				looks = append(looks, time.Now())
				return loads, map[int]bool{1: true, 2: true}
			},
			Exceed: func(all []Excess) { heavy++ },
		}
		in := func(span time.Duration, do func()) {
			t.Helper()
			l.Report(func() { looks = nil })
			time.Sleep(span) // in the time of the bubble
			synctest.Wait()
			l.Report(do)
		}
		l.Report(func() { s.Watch(l, w) })
		in(10*time.Second, func() {})
		in(50*time.Second, func() {
			if len(looks) != 10 {
				t.Errorf("looked %d times in 50 s in which nothing changed", len(looks))
			}
			weight = 60
		})
		in(lookStill+lookSoft, func() {
			if len(looks) < 2 || looks[1].Sub(looks[0]) != lookSoft {
				t.Errorf("looked at %v, the first time after a change", looks)
			}
			weight = 101
		})
		in(lookStill+3*lookSoft, func() {
			if n := len(looks); heavy == 0 || n < 3 || looks[n-1].Sub(looks[n-3]) != 2*lookSoft {
				t.Errorf("too heavy %d times, looked at %v", heavy, looks)
			}
			weight = 50
		})
		in(20*time.Second, func() {
			loads = append(loads, Load{Worker: Worker{ID: 2, PID: 2}, Soft: 100, Hard: 200})
			s.Watch(l, w)
			s.Watch(l, w)
		})
		in(lookSoft+2*lookHard, func() {
			if len(looks) != 3 {
				t.Errorf("looked at %v at one that may have to be killed", looks)
			}
		})
		end()
	})
}
