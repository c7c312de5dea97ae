package fleet

import (
	"testing"
	"time"
)

// loaderColumn is a state of a loader, and how it comes to be in it.
type loaderColumn struct {
	name  string
	state LoaderState
	enter func(*stage)
}

var loaderColumns = []loaderColumn{
	{"starting", LoaderStarting, func(*stage) {}},
	{"ready", LoaderServing, enterLoaded},
	{"stopping", LoaderStopping, func(s *stage) {
		enterLoaded(s)
		s.step(Reload{2, Settings{Command: "app", Workers: 1, Surge: Surge{Count: 1}, StartupTimeout: time.Minute, StartupAttempts: 3}})
		s.step(SaidReady{ID: 2})
		s.step(Exited{1})
		s.step(Tick{})
	}},
	{"aborted", LoaderAborted, func(s *stage) {
		enterLoaded(s)
		s.step(LoaderHung{1})
	}},
	{"killed", LoaderKilled, func(s *stage) {
		enterLoaded(s)
		s.step(LoaderHung{1})
		s.now = s.now.Add(AbortGrace)
		s.step(Tick{})
	}},
	{"gone", LoaderAbsent, func(s *stage) {
		enterLoaded(s)
		s.step(LoaderExited{1})
	}},
}

func enterLoaded(s *stage) {
	s.step(LoaderReady{1})
	s.step(Cooperates{1}, SaidReady{ID: 1})
}

// enterLoader returns a fleet of one worker whose loader is in the state.
func enterLoader(t *testing.T, c loaderColumn) *stage {
	settings := baseSettings()
	settings.Workers, settings.Preload = 1, true
	s := &stage{New(1, settings, func() float64 { return 0.5 }), time.Unix(1000, 0)}
	s.step(Tick{})
	c.enter(s)
	if got := s.Loader(1).State; got != c.state {
		t.Fatalf("a loader that is %s is in state %v, want %v", c.name, got, c.state)
	}
	return s
}

var loaderInitials = map[LoaderState]string{LoaderAbsent: "G", LoaderStarting: "S", LoaderServing: "R", LoaderStopping: "T", LoaderAborted: "A", LoaderKilled: "K"}

// loaderInitial is that of the loader's state.
func (s *stage) loaderInitial() string { return loaderInitials[s.Loader(1).State] }

// loaderRows are the events that concern a loader.
var loaderRows = []tableRow{
	{"Tick", Tick{}},
	{"Tick, when due", nil},
	{"LoaderReady", LoaderReady{1}},
	{"LoaderExited", LoaderExited{1}},
	{"LoaderHung", LoaderHung{1}},
	{"LoaderExtended", LoaderExtended{1, time.Hour}},
	{"ScaleBy +1", ScaleBy{1}},
	{"Reload", Reload{9, Settings{Preload: true, Command: "app", Workers: 1, Surge: Surge{Count: 1}, StartupTimeout: time.Minute, StartupAttempts: 3}}},
	{"Stop", Stop{}},
	{"Stop, quick", Stop{Quick: true}},
}

// What nobody knows of a loader changes nothing.
func TestUnknownLoader(t *testing.T) {
	for _, event := range []Event{LoaderReady{99}, LoaderExited{99}, LoaderHung{99}, LoaderExtended{99, time.Hour}} {
		s := enterLoader(t, loaderColumns[1])
		was := s.facts()
		if actions := s.step(event); len(actions) > 0 || s.facts() != was {
			t.Errorf("%s: %s", tell([]Event{event}), describe(actions))
		}
	}
}
