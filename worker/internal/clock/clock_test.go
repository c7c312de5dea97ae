package clock

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

const (
	limit   = 500 * time.Millisecond // long enough for a busy machine
	forever = 60 * time.Second       // a time that does not come
)

// TestAlarmsOnTime sets alarms for times in no order, moves some forward and stops
// others: each goes off once, not before its time, and not long after it.
func TestAlarmsOnTime(t *testing.T) {
	c := new(alarmClock)
	const n = 200
	rang := make(chan int64, 2*n)
	begin := scoreboard.Monotonic()
	var stopped []*Alarm
	want := 0
	for i := range n {
		at := begin + int64(limit/10) + rand.Int64N(int64(limit))
		a := &Alarm{ring: func(set int64) {
			if now := scoreboard.Monotonic(); set != at || now < at || now > at+int64(5*time.Second) {
				t.Errorf("set for %v, goes off for %v at %v", time.Duration(at-begin), time.Duration(set-begin), time.Duration(now-begin))
			}
			rang <- at
		}}
		if i%3 == 0 && (!c.bring(a, at+int64(forever)) || c.bring(a, at+int64(2*forever))) {
			t.Error("one is not set, or put off")
		}
		if !c.bring(a, at) {
			t.Error("not set")
		}
		if want++; i%5 == 0 {
			stopped = append(stopped, a)
		}
	}
	for _, a := range stopped {
		if a.at.Load() != 0 { // else this machine is busy
			c.remove(a)
			want--
		}
		c.remove(a)
	}
	for range want {
		<-rang
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.set) != 0 || len(rang) != 0 {
		t.Errorf("%d are set still, %d went off besides", len(c.set), len(rang))
	}
}

// TestAlarmAtOnce is for times that have passed.
func TestAlarmAtOnce(t *testing.T) {
	for _, at := range []int64{1, scoreboard.Monotonic(), scoreboard.Monotonic() - int64(time.Hour)} {
		rang := make(chan int64)
		a := &Alarm{ring: func(at int64) { rang <- at }}
		a.By(max(at, 1))
		<-rang
	}
}

// TestAlarmSchedule does random things at random times, and after each of them there
// is a wake-up no later than the first alarm is due.
func TestAlarmSchedule(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		woken := int64(0)
		c := &alarmClock{wakeAt: func(at int64) { woken = at }}
		begin := scoreboard.Monotonic() + int64(time.Hour)
		all := make([]Alarm, 1+random.IntN(50))
		set := map[*Alarm]int64{}
		var rung sync.WaitGroup
		for i := range all {
			all[i].ring = func(int64) { rung.Done() }
		}
		for range 300 {
			a := &all[random.IntN(len(all))]
			switch random.IntN(8) {
			case 0, 1, 2:
				c.remove(a)
				delete(set, a)
			case 3:
				c.ring() // too early
			case 4:
				rung.Add(1)
				c.bring(a, 1)
				c.ring()
				rung.Wait()
				delete(set, a)
			default:
				at := begin + random.Int64N(1000)
				is, ok := set[a]
				if c.bring(a, at) != (!ok || at < is) {
					t.Fatalf("set for %d, from %d", at, is)
				}
				if !ok || at < is {
					set[a] = at
				}
			}
			first := int64(0)
			for a, at := range set {
				if a.at.Load() != at || c.set[a.index] != a {
					t.Fatalf("set for %d, want %d; index %d", a.at.Load(), at, a.index)
				}
				if first == 0 || at < first {
					first = at
				}
			}
			if len(c.set) != len(set) || first != 0 && (c.next == 0 || c.next > first || woken != c.next) {
				t.Fatalf("%d set, want %d; wakes at %d and %d, want %d", len(c.set), len(set), c.next, woken, first)
			}
		}
	}
}

// TestAlarmSetWhileItRings sets one alarm from several goroutines all the time: none
// of what they set it for is missed.
func TestAlarmSetWhileItRings(t *testing.T) {
	var mu sync.Mutex
	var wanted []int64 // times for which nothing has gone off yet
	done := make(chan struct{}, 1)
	a := new(Alarm)
	a.ring = func(int64) {
		mu.Lock()
		defer mu.Unlock()
		now := scoreboard.Monotonic()
		wanted = slices.DeleteFunc(wanted, func(at int64) bool { return at <= now })
		if len(wanted) > 0 {
			a.By(slices.Min(wanted))
		}
		select {
		case done <- struct{}{}:
		default:
		}
	}
	var setting sync.WaitGroup
	for range 4 {
		setting.Go(func() {
			for i := range 2000 {
				at := scoreboard.Monotonic() + int64(i%3)*int64(10*time.Microsecond)
				mu.Lock()
				wanted = append(wanted, at)
				mu.Unlock()
				a.By(at)
			}
		})
	}
	setting.Wait()
	left := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(wanted)
	}
	for left() > 0 {
		<-done
	}
}
