package tally

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// started is a reading of one counter and one bucket of the same value.
func started(n uint64) Reading {
	return Reading{Counters: scoreboard.Counters{Started: n}, Histogram: []uint64{n}}
}

func TestTally(t *testing.T) {
	type step struct {
		after time.Duration // since the step before
		do    func(t *Tally, now time.Time)
		want  uint64
	}
	join := func(id int) func(*Tally, time.Time) {
		return func(t *Tally, now time.Time) { t.Join(id, now) }
	}
	add := func(id int, n uint64) func(*Tally, time.Time) {
		return func(t *Tally, now time.Time) { t.Add(id, now, started(n)) }
	}
	retire := func(id int, last Reading) func(*Tally, time.Time) {
		return func(t *Tally, now time.Time) { t.Retire(id, now, last) }
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"one worker", []step{
			{0, join(1), 0},
			{time.Second, add(1, 100), 100},
			{time.Second, add(1, 100), 100},
			{time.Second, add(1, 250), 250},
			{0, join(1), 250},
			{time.Second, add(1, 300), 300},
		}},
		{"replacement", []step{
			{0, join(1), 0},
			{time.Second, add(1, 100), 100},
			{0, join(2), 100},
			{time.Second, add(2, 10), 110},
			{time.Second, retire(1, started(130)), 140},
			{time.Second, add(2, 20), 150},
			{time.Second, retire(2, Reading{}), 150},
		}},
		{"strangers", []step{
			{time.Second, add(1, 100), 0},
			{time.Second, retire(1, started(100)), 0},
			{0, join(1), 0},
			{time.Second, retire(1, started(100)), 100},
			{time.Second, add(1, 200), 100},
			{time.Second, retire(1, started(300)), 100},
		}},
		{"a torn reading", []step{
			{0, join(1), 0},
			{time.Second, add(1, 1000), 1000},
			{time.Hour, add(1, math.MaxUint64), 1000},
			{time.Millisecond, add(1, 3_600_000_000), 3_600_000_000},
			{time.Second, add(1, 0), 3_600_000_000},
			{time.Second, add(1, 3_600_000_100), 3_600_000_100},
		}},
		{"up and down", []step{
			{0, join(1), 0},
			{time.Second, add(1, 1000), 1000},
			{time.Second, add(1, 0), 1000},
			{time.Second, add(1, 1000), 1000},
			{time.Second, add(1, 1), 1000},
			{time.Second, add(1, 1001), 1001},
		}},
		{"the limit", []step{
			{0, join(1), 0},
			{0, add(1, MaxRate+1), 0},
			{0, add(1, MaxRate), MaxRate},
			{0, add(1, MaxRate+1), MaxRate},
			{time.Second, add(1, 2*MaxRate+1), MaxRate},
			{0, add(1, 2*MaxRate), 2 * MaxRate},
			// It goes by the worker's age, not by when its board was read.
			{time.Second, add(1, 2*MaxRate), 2 * MaxRate},
			{time.Second, add(1, 4*MaxRate+1), 2 * MaxRate},
			{0, add(1, 4*MaxRate), 4 * MaxRate},
		}},
		{"a clock that goes backwards", []step{
			{0, join(1), 0},
			{time.Second, add(1, 2*MaxRate), 2 * MaxRate},
			{-time.Second, add(1, 2*MaxRate), 2 * MaxRate},
			{time.Second, add(1, 2*MaxRate+1), 2 * MaxRate},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tally, now := New(), time.Now()
			for i, s := range test.steps {
				now = now.Add(s.after)
				s.do(tally, now)
				total := tally.Total()
				if total.Counters.Started != s.want || len(total.Histogram) > 0 && total.Histogram[0] != s.want {
					t.Fatalf("step %d: the total is %+v, not %d", i, total, s.want)
				}
			}
		})
	}
}

// A total that is full stays so.
func TestNoOverflow(t *testing.T) {
	tally, now := New(), time.Now()
	tally.Join(1, now)
	tally.Add(1, now, started(5))
	*tally.total.of(0) = math.MaxUint64 - 3
	tally.Add(1, now, started(7))
	tally.Add(1, now, started(100))
	if got := tally.Total().Counters.Started; got != math.MaxUint64 {
		t.Errorf("the total is %d", got)
	}
}

// TestLost: a worker takes along what it has begun and not finished, as far as it
// is believed, and one that never says anything is not heard.
func TestLost(t *testing.T) {
	now := time.Unix(1, 0)
	tally := New()
	tally.Join(1, now)
	tally.Forget(1)
	if tally.Heard() {
		t.Error("a worker without a board was heard")
	}
	for id, test := range []struct{ started, finished, lost uint64 }{{5, 2, 3}, {5, 5, 0}, {2, 5, 0}, {math.MaxUint64, 1, 0}} {
		tally.Join(id, now)
		if got := tally.Retire(id, now, Reading{Counters: scoreboard.Counters{Started: test.started, Finished: test.finished}}); got != test.lost {
			t.Errorf("%+v: %d lost", test, got)
		}
		tally = successor(t, tally)
	}
	if !tally.Heard() || tally.Lost() != 3 {
		t.Errorf("heard is %v, and %d are lost", tally.Heard(), tally.Lost())
	}
	if got := tally.Retire(7, now, Reading{}); got != 0 {
		t.Errorf("one who never joined loses %d", got)
	}
}

// BenchmarkAdd is one look at a board with a full histogram.
func BenchmarkAdd(b *testing.B) {
	tally, now := New(), time.Now()
	tally.Join(1, now)
	r := Reading{Histogram: make([]uint64, scoreboard.HistogramBuckets)}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		r.Counters.Started++
		r.Histogram[7]++
		tally.Add(1, now, r)
	}
}

func TestTotalIsACopy(t *testing.T) {
	tally, now := New(), time.Now()
	tally.Join(1, now)
	tally.Add(1, now, started(5))
	tally.Total().Histogram[0] = 1
	if got := tally.Total(); !reflect.DeepEqual(got, started(5)) {
		t.Errorf("the total is %+v", got)
	}
}

// TestEveryCounter holds that no counter of the board is forgotten, and that the
// one gauge is.
func TestEveryCounter(t *testing.T) {
	var in scoreboard.Counters
	next := uint64(1)
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Uint64:
			v.SetUint(next)
			next++
		case reflect.Array:
			for i := range v.Len() {
				fill(v.Index(i))
			}
		default:
			t.Fatalf("a counter is a %s", v.Type())
		}
	}
	for i := range reflect.TypeOf(in).NumField() {
		fill(reflect.ValueOf(&in).Elem().Field(i))
	}
	tally, now := New(), time.Now()
	tally.Join(1, now)
	tally.Add(1, now, Reading{Counters: in, Histogram: []uint64{7, 8, 9}, Microseconds: 400})
	tally.Add(1, now, Reading{Counters: in})
	in.Open, in.Beat = 0, 0
	if got, want := tally.Total(), (Reading{Counters: in, Histogram: []uint64{7, 8, 9}, Microseconds: 400}); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestTotalsOnlyGrow throws everything at a tally: totals never fall, never grow
// faster than the workers could, and one honest worker is counted to the last
// request, however often its board was torn.
func TestTotalsOnlyGrow(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 0))
		anything := func() uint64 {
			switch rng.IntN(5) {
			case 0:
				return rng.Uint64()
			case 1:
				return rng.Uint64() >> rng.IntN(64)
			case 2:
				return math.MaxUint64 - rng.Uint64N(3)
			case 3:
				return rng.Uint64N(3)
			default:
				return rng.Uint64N(3 * MaxRate)
			}
		}
		hostile := func() Reading {
			r := Reading{Histogram: make([]uint64, rng.IntN(5))}
			for _, f := range counters(&r.Counters) {
				*f = anything()
			}
			for i := range r.Histogram {
				r.Histogram[i] = anything()
			}
			return r
		}
		all, honest := New(), New() // everybody, and the honest one alone
		now := time.Now()
		joined := map[int]time.Time{}
		life := func() (sum time.Duration) {
			for _, at := range joined {
				sum += now.Sub(at) + time.Second
			}
			return sum
		}
		ids := []int{0, 1, 2, 3, 4, 5} // none is used twice
		var truth uint64
		honest.Join(0, now)
		var before []uint64
		for range 300 {
			// A board is torn for a moment: a sound reading comes sooner or later.
			step := time.Duration(rng.Uint64N(uint64(time.Second)) >> rng.IntN(30))
			now = now.Add(step)
			truth += rng.Uint64N(uint64(step)/1000 + 1) // up to 1 million a second
			if rng.IntN(3) == 0 {
				honest.Add(0, now, hostileBut(hostile(), truth))
			} else {
				honest.Add(0, now, started(truth))
			}
			place := rng.IntN(len(ids))
			id := ids[place]
			switch rng.IntN(10) {
			case 0:
				if _, ok := joined[id]; !ok {
					joined[id] = now
				}
				all.Join(id, now)
			case 1:
				all.Retire(id, now, hostile())
				ids[place] += len(ids)
			default:
				all.Add(id, now.Add(-time.Duration(rng.IntN(5))*time.Millisecond), hostile())
			}
			total := values(all.Total())
			for i, v := range before {
				if total[i] < v {
					t.Fatalf("seed %d: total %d fell from %d to %d", seed, i, v, total[i])
				}
			}
			most := uint64(life()/perCount) + 1
			if v := slices.Max(total); v > most {
				t.Fatalf("seed %d: a total of %d, of at most %d", seed, v, most)
			}
			before = total
		}
		honest.Retire(0, now, started(truth))
		if got := honest.Total().Counters.Started; got != truth {
			t.Fatalf("seed %d: the honest worker has %d, counted were %d", seed, truth, got)
		}
	}
}

// hostileBut is a torn reading of a worker that is at truth: what it says is
// plainly wrong, for nothing else can be told from a right one.
func hostileBut(r Reading, truth uint64) Reading {
	if r.Counters.Started >= truth {
		r.Counters.Started = math.MaxUint64
	}
	return r
}
