package fleet

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/gosuper/gosuper/supervisor/internal/state"
)

// successor is the brain that goes on where this one stops, after a journey
// through text. It must know all that this one knows.
func successor(t *testing.T, f *Fleet) *Fleet {
	t.Helper()
	epoch := time.Unix(0, 0)
	text, _, err := state.Write(f, epoch)
	if err != nil {
		t.Fatal(err)
	}
	next := new(Fleet)
	if _, err := state.Read(text, next, epoch); err != nil {
		t.Fatal(err)
	}
	if err := next.Resume(f.draw); err != nil {
		t.Fatal(err)
	}
	was, is := *f, *next
	for _, forgets := range []*Fleet{&was, &is} { // what belongs to one step alone
		forgets.draw, forgets.actions, forgets.wanted, forgets.moved, forgets.late, forgets.hurry, forgets.overlap.wanted = nil, nil, nil, false, false, false, false
		forgets.workers, forgets.slots = slices.Concat(forgets.workers), slices.Concat(forgets.slots) // none is none
		forgets.sizing.needed, forgets.sizing.growths = slices.Concat(forgets.sizing.needed), slices.Concat(forgets.sizing.growths)
		for len(forgets.teams) > 0 && len(forgets.teams[len(forgets.teams)-1]) == 0 {
			forgets.teams = forgets.teams[:len(forgets.teams)-1]
		}
		forgets.teams = slices.Concat(forgets.teams)
		for i, team := range forgets.teams {
			forgets.teams[i] = slices.Concat(team)
		}
	}
	if !reflect.DeepEqual(was, is) {
		t.Fatalf("the brain knew\n%s\nand its successor\n%+v", text, is)
	}
	return next
}

// fill gives every field below a value another one than zero.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(int64(*n), 5)))
	case v.Type() == reflect.TypeFor[LoaderState]():
		v.SetInt(int64(LoaderStopping))
	case v.Type() == reflect.TypeFor[State]():
		v.SetInt(int64(Draining))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case v.Kind() == reflect.Slice && v.Type() != reflect.TypeFor[[]Action]() && v.Type() != reflect.TypeFor[[]Load]():
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case v.Kind() == reflect.String:
		v.SetString("text")
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(int64(*n))
	case v.Kind() != reflect.Func && v.Kind() != reflect.Slice && v.Kind() != reflect.Map:
		t.Fatalf("cannot fill a %v", v.Type())
	}
}

// Whatever a brain may come to know, its successor knows.
func TestSuccessorKnowsAll(t *testing.T) {
	f, n := new(Fleet), 0
	fill(t, reflect.ValueOf(f).Elem(), &n)
	f.current.target = len(f.slots)
	for _, r := range []*revision{f.current, f.fallback} {
		r.floor = r.scaled(r.scale)
	}
	for _, s := range f.slots {
		s.closed = false
	}
	all := f.workers
	f.workers, f.teams = nil, nil
	for _, w := range all {
		w.killed = false // is what the state says now
		f.join(w)
	}
	successor(t, f)
}

// Worlds in which another brain takes over after every step obey the same laws.
func TestSuccessors(t *testing.T) {
	for seed := range uint64(15) {
		w := newWorld(rand.New(rand.NewPCG(seed, 2)))
		broken := w.step(Tick{})
		for range 500 {
			if w.oracle.halted || broken != "" {
				break
			}
			w.fleet = successor(t, w.fleet)
			if w.r.IntN(25) == 0 {
				w.meddle()
			}
			broken = w.next()
		}
		if broken != "" {
			t.Fatalf("world %d after %d steps: %s\n%s", seed, w.steps, broken, strings.Join(w.log, "\n"))
		}
	}
}

// A brain of a version to which Killed was no state knows who was killed.
func TestResumeStopping(t *testing.T) {
	for text, want := range map[string]State{
		`"state": "ready"`:                    Ready,
		`"state": "stopping"`:                 Aborted,
		`"state": "stopping", "failed": true`: Aborted,
		`"state": "stopping", "killed": true`: Killed,
	} {
		f := new(Fleet)
		text := `{"current": {"settings": {"Workers": 1}, "number": 1, "target": 1}, "workers": [{"id": 3, ` + text + `}]}`
		if _, err := state.Read([]byte(text), f, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
		if err := f.Resume(rand.Float64); err != nil {
			t.Fatal(err)
		}
		if w := successor(t, f).workers[0]; w.State != want {
			t.Errorf("%s: state %d, want %d", text, w.State, want)
		}
	}
}

// The loader of a version that took READY=1 for a success was of use; the one of which it is
// known that nobody has come of it was not.
func TestResumeLoader(t *testing.T) {
	for text, want := range map[string]int{``: 0, `, "unproven": true`: 1} {
		f, now := new(Fleet), time.Unix(1000, 0)
		text := `{"current": {"settings": {"Workers": 1, "Preload": true}, "number": 1, "target": 1}, "loaders": [{"revision": 1, "state": "ready", "ready_at": 5` + text + `}]}`
		if _, err := state.Read([]byte(text), f, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
		if err := f.Resume(rand.Float64); err != nil {
			t.Fatal(err)
		}
		f = successor(t, f)
		f.Step(now, LoaderExited{1})
		if got := f.current.loads.failures; got != want {
			t.Errorf("%s: the end of the loader counts as %d failures to start, want %d", text, got, want)
		}
	}
}

func TestResume(t *testing.T) {
	current := `"current": {"settings": {"Workers": 2, "FromTheFuture": 1}, "number": 7, "target": 2}`
	tests := []struct{ name, text, problem string }{
		{"what is missing and what is unknown", `{` + current + `, "from_the_future": 1}`, ""},
		{"no revision", `{}`, "no revision of the fleet is in force"},
		{"unknown state", `{` + current + `, "workers": [{"id": 3, "state": "dreaming"}]}`, `cannot read the state: workers: State: no worker can be "dreaming"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := new(Fleet)
			_, err := state.Read([]byte(test.text), f, time.Unix(0, 0))
			if err == nil {
				err = f.Resume(rand.Float64)
			}
			switch {
			case err != nil && err.Error() != test.problem || err == nil && test.problem != "":
				t.Errorf("error %v, want %q", err, test.problem)
			case err == nil && (f.Target() != 2 || len(f.slots) != 2):
				t.Errorf("%d slots for %d workers, want 2", len(f.slots), f.Target())
			}
		})
	}
}
