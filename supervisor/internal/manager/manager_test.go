//go:build linux

package manager

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// ear is a service manager that writes down what it hears.
type ear struct {
	heard []string
	err   error // of everything that is sent
}

var usec = regexp.MustCompile(`\nMONOTONIC_USEC=\d+`)

func (e *ear) Send(assignments ...string) error {
	if e.err == nil {
		e.heard = append(e.heard, usec.ReplaceAllString(strings.Join(assignments, " "), ""))
	}
	return e.err
}

func (e *ear) Store(name string, _ int) error { return e.Send("store " + name) }

func (e *ear) Remove(name string) error { return e.Send("remove " + name) }

// TestTell: the service manager hears each step of a service once, none is left
// out, and what it was too busy for is made up for.
func TestTell(t *testing.T) {
	e := &ear{}
	m, now := New(e, 0), time.Now()
	for i, c := range []struct {
		is   State
		busy bool
		want []string
	}{
		{is: State{Phase: Starting, Status: "a", Until: now.Add(20 * time.Second)}, want: []string{"STATUS=a EXTEND_TIMEOUT_USEC=30000000"}},
		{is: State{Phase: Starting, Status: "a", Until: now.Add(20 * time.Second)}},
		{is: State{Phase: Starting, Status: "a", Until: now.Add(24 * time.Second)}},                                                 // less than half of the margin
		{is: State{Phase: Starting, Status: "a", Until: now.Add(26 * time.Second)}, want: []string{"EXTEND_TIMEOUT_USEC=36000000"}}, // more
		{is: State{Phase: Running, Status: "b"}, want: []string{"READY=1 STATUS=b"}},
		{is: State{Phase: Running, Status: "b", Reloads: 1}, want: []string{"RELOADING=1", "READY=1"}},                                 // over already
		{is: State{Phase: Reloading, Status: "c", Reloads: 2}, want: []string{"RELOADING=1 STATUS=c"}},                                 // nobody knows until when
		{is: State{Phase: Reloading, Status: "c", Reloads: 3, Until: now}, want: []string{"RELOADING=1 EXTEND_TIMEOUT_USEC=10000000"}}, // another
		{is: State{Phase: Running, Status: "d", Reloads: 3}, busy: true},
		{is: State{Phase: Running, Status: "e", Reloads: 4}, busy: true},
		{is: State{Phase: Running, Status: "f", Reloads: 4}, want: []string{"RELOADING=1 STATUS=f", "READY=1"}},
		{is: State{Phase: Stopping, Status: "g", Reloads: 4}, want: []string{"STOPPING=1 STATUS=g"}},
		{is: State{Phase: Running, Status: "g", Reloads: 5}}, // nothing comes after it
	} {
		e.heard, e.err = nil, nil
		if c.busy {
			e.err = ErrBusy
		}
		if err := m.Tell(now, c.is); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
		if !slices.Equal(e.heard, c.want) {
			t.Errorf("step %d: heard %q, want %q", i, e.heard, c.want)
		}
		if due := m.Due(); due.IsZero() == c.busy {
			t.Errorf("step %d: due %v", i, due)
		}
	}
}

// TestTellNobody: what will never be heard is reported once, and a store that
// cannot be reached is given up.
func TestTellNobody(t *testing.T) {
	gone := errors.New("nobody is there")
	m, now := New(&ear{err: gone}, 0), time.Now()
	m.keeps = true
	is := State{Phase: Running, Status: "a"}
	if err := m.Tell(now, is); !errors.Is(err, gone) || !strings.Contains(err.Error(), "READY=1 STATUS=a") {
		t.Errorf("telling nobody gives %v", err)
	}
	if err := m.Tell(now, is); err != nil || !m.Due().IsZero() {
		t.Errorf("it is told again: %v, due %v", err, m.Due())
	}
	if err := m.Store("x", 0); !errors.Is(err, gone) || m.Keeps() {
		t.Errorf("storing gives %v, keeps %v", err, m.Keeps())
	}
	m = nil
	if m.Keeps() || !m.Due().IsZero() || m.Tell(now, is) != nil {
		t.Error("no service manager wants something")
	}
}

func TestSummary(t *testing.T) {
	for _, test := range []struct {
		is   Summary
		want string
	}{
		{Summary{Phase: Starting, Target: 2, Generation: 1}, "starting: 0 of 2 workers ready, generation 1"},
		{Summary{Phase: Starting, Target: 2, Generation: 1, Trouble: "crash loop"}, "crash loop: 0 of 2 workers ready, generation 1"},
		{Summary{Phase: Starting, Target: 2, Generation: 1, Wait: "the application is being loaded"}, "starting: 0 of 2 workers ready, generation 1; the application is being loaded"},
		{Summary{Phase: Running, Target: 1, Ready: 1, Generation: 3}, "1 worker ready, generation 3"},
		{Summary{Phase: Running, Target: 2, Ready: 1, Generation: 3, Trouble: "degraded", Reload: "refused: no"}, "degraded: 1 of 2 workers ready, generation 3; reload refused: no"},
		{Summary{Phase: Reloading, Target: 2, Ready: 2, Generation: 3, Reload: "refused: no"}, "reloading: 2 workers ready, generation 3"},
		{Summary{Phase: Stopping, Target: 2, Alive: 1}, "stopping: 1 worker left"},
		{Summary{Phase: Stopping, Target: 2, GaveUp: "worker 1 could not boot: exit status 1"}, "gave up: worker 1 could not boot: exit status 1"},
	} {
		if got := test.is.String(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.is, got, test.want)
		}
	}
}
