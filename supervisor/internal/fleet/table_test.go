package fleet

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The worker of which the table tells is the second of two; the first is ready.
const subject = 2

// stage is a fleet in which the subject is in some state.
type stage struct {
	*Fleet
	now time.Time
}

// step takes a step a millisecond after the last one.
func (s *stage) step(events ...Event) []Action {
	s.now = s.now.Add(time.Millisecond)
	return s.Step(s.now, events...)
}

// wait lets time pass until the subject, or its loader, is due, and returns what is done then. If it
// never is, that is now.
func (s *stage) wait() (actions []Action) {
	due := s.now
	if l := s.loader(1); l != nil {
		due = slices.MaxFunc([]time.Time{due, l.due}, time.Time.Compare)
	}
	if w := s.worker(subject); w != nil {
		due = slices.MaxFunc([]time.Time{due, w.due}, time.Time.Compare)
		if !w.aliveAt.IsZero() {
			due = w.aliveAt
		}
	}
	for next, ok := s.Deadline(); ok && !next.After(due); next, ok = s.Deadline() {
		s.now = next
		actions = s.Step(next, Tick{})
	}
	return actions
}

// tableColumn is a state of the subject, and how it comes to be in it.
type tableColumn struct {
	name  string
	state State
	enter func(*stage)
}

// columns are the states, of some more than one way to be in them.
var columns = []tableColumn{
	{"starting", Starting, func(*stage) {}},
	{"guessed", Ready, func(s *stage) {
		s.step(Executed{subject}, Waits{subject})
		s.wait()
	}},
	{"ready", Ready, enterReady},
	{"spare", Ready, func(s *stage) { enterReady(s); s.bench() }},
	{"stuck", Ready, func(s *stage) { enterReady(s); s.step(foundStuck) }},
	{"leaving", Draining, func(s *stage) {
		enterReady(s)
		s.step(SaidStopping{subject})
		s.step(SaidReady{ID: subject + 1})
	}},
	{"draining", Draining, enterDraining},
	{"hurried", Draining, func(s *stage) { enterDraining(s); s.step(foundStuck) }},
	{"aborted", Aborted, func(s *stage) { s.wait() }},
	{"killed", Killed, func(s *stage) {
		s.wait()
		s.wait()
	}},
	{"gone", gone, func(s *stage) { s.step(Exited{subject}) }},
}

// gone is no state of a worker: there is none.
const gone = Killed + 1

func enterReady(s *stage) { s.step(Cooperates{subject}, SaidReady{ID: subject}) }

func enterDraining(s *stage) {
	enterReady(s)
	s.step(Recycle{subject, ReasonRecycle})
	s.step(SaidReady{ID: subject + 1})
}

var foundStuck = Looked{Sights: []Sight{{ID: subject, Overdue: true}}}

// initials are those of the states.
var initials = map[State]string{Starting: "S", Ready: "R", Draining: "D", Aborted: "A", Killed: "K", gone: "G"}

// tableRow is an event; nil: that time passes until the subject is due.
type tableRow struct {
	name  string
	event Event
}

// rows are the events, more than one of those that can say different things.
var rows = []tableRow{
	{"Tick", Tick{}},
	{"Tick, when due", nil},
	{"Exited", Exited{subject}},
	{"Cleared", Cleared{subject}},
	{"SpawnFailed", SpawnFailed{subject}},
	{"Hopeless", Hopeless{1}},
	{"Executed", Executed{subject}},
	{"Waits", Waits{subject}},
	{"Cooperates", Cooperates{subject}},
	{"SaidReady", SaidReady{ID: subject}},
	{"SaidStopping", SaidStopping{subject}},
	{"SaidFailed", SaidFailed{subject}},
	{"Extend", Extend{subject, time.Hour}},
	{"Recycle", Recycle{subject, ReasonRecycle}},
	{"Wish", Wish{subject, "tired"}},
	{"Looked, stuck", foundStuck},
	{"Looked, innocent", Looked{Sights: []Sight{{ID: subject, Overdue: true, Innocents: 1}}}},
	{"Looked, failing", Looked{Sights: []Sight{{ID: subject, Failing: time.Unix(1, 0)}, {ID: 1, Succeeded: time.Unix(2, 0)}}}},
	{"Looked, well", Looked{Sights: []Sight{{ID: subject}}}},
	{"Oversized", Oversized{subject}},
	{"Demand, more", Demand{InFlight: []InFlight{{1, 4}, {subject, 4}}, Waiting: 4}},
	{"Demand, less", Demand{InFlight: []InFlight{{1, 4}, {subject, 0}}}},
	{"Memory", Memory{1}},
	{"ScaleBy +1", ScaleBy{1}},
	{"ScaleBy -1", ScaleBy{-1}},
	{"Recount, more", Recount{2}},
	{"Reload", Reload{2, Settings{Command: "app", Workers: 2, StartupTimeout: time.Minute, StartupAttempts: 3}}},
	{"Stop", Stop{}},
	{"Stop, quick", Stop{Quick: true}},
}

type tableLetter struct {
	letter string
	action Action
}

// letters are those of the actions.
var letters = []tableLetter{
	{"m", Load{}},
	{"o", Unload{}},
	{"j", AbortLoader{}},
	{"z", KillLoader{}},
	{"s", Spawn{}},
	{"+", Activate{}},
	{"-", Spareless{}},
	{"?", Weigh{}},
	{"!", Cramped{}},
	{"a", Announce{}},
	{"w", Withdraw{}},
	{"p", Plain{}},
	{"f", FoundStuck{}},
	{"v", Recovered{}},
	{"q", FoundFailing{}},
	{"g", FoundOutage{}},
	{"#", FoundFailed{}},
	{"d", Defer{}},
	{"=", Crowded{}},
	{"r", Retire{}},
	{"h", Hasten{}},
	{"l", Prolong{}},
	{"x", Abort{}},
	{"k", Kill{}},
	{"i", Unkillable{}},
	{"b", Bury{}},
	{"n", Rescale{}},
	{"y", Apply{}},
	{"e", EndReload{}},
	{"c", Close{}},
	{"u", Up{}},
	{"t", Halt{}},
}

// enter returns a fleet of two workers, of which the first is ready and the second in
// the state.
func enter(t *testing.T, c tableColumn) *stage {
	settings := baseSettings()
	settings.Workers, settings.Ready = 1, ReadyAuto
	s := &stage{New(1, settings, func() float64 { return 0.5 }), time.Unix(1000, 0)}
	s.step(Tick{})
	s.step(SaidReady{ID: 1})
	for due, ok := s.Deadline(); ok; due, ok = s.Deadline() { // until it counts as a plain one
		s.now = due
		s.step(Tick{})
	}
	s.step(ScaleBy{1})
	c.enter(s)
	if got := s.state(); got != c.state {
		t.Fatalf("a worker that is %s is in state %d, want %d", c.name, got, c.state)
	}
	return s
}

// initial is that of the subject's state.
func (s *stage) initial() string { return initials[s.state()] }

// state is that of the subject.
func (s *stage) state() State {
	if w, alive := s.Worker(subject); alive {
		return w.State
	}
	return gone
}

// cell says what the step means for the subject, or for the loader: whose state has the
// initial.
func (s *stage) cell(initial func(*stage) string, step func() []Action) string {
	before, was := initial(s), s.facts()
	var did strings.Builder
	for _, a := range step() {
		if id, one := about(a); one && id != subject {
			continue
		}
		for _, l := range letters {
			if reflect.TypeOf(l.action) == reflect.TypeOf(a) {
				did.WriteString(l.letter)
			}
		}
	}
	after := initial(s)
	switch {
	case after != before:
		return after + did.String()
	case did.Len() > 0:
		return did.String()
	case s.facts() != was:
		return "*"
	}
	return "."
}

// facts are all that the brain knows of the subject, or of the loader, and when it is due.
func (s *stage) facts() [3]any {
	w, _ := s.Worker(subject)
	due, _ := s.Deadline()
	return [3]any{fmt.Sprintf("%+v", w), s.Loader(1), due}
}

// about is the worker that an action is about, if it is about one that is there.
func about(a Action) (id int, one bool) {
	switch a := a.(type) {
	case Bury:
		return a.Worker.ID, true
	case Spawn:
		return 0, false
	}
	if field := reflect.ValueOf(a).FieldByName("ID"); field.IsValid() {
		return int(field.Int()), true
	}
	return 0, false
}

// names are those of the columns.
func names[C any](columns []C, name func(C) string) (all []string) {
	for _, c := range columns {
		all = append(all, name(c))
	}
	return all
}

// table is what every event does in every state, of a worker and of a loader.
func table(t *testing.T) string {
	var b, done strings.Builder
	line := func(cells ...string) {
		fmt.Fprintf(&b, "//\t%-17s", cells[0])
		for _, cell := range cells[1:] {
			fmt.Fprintf(&b, "%-9s", cell)
		}
		b.WriteString("\n")
	}
	part := func(columns []string, rows []tableRow, enter func(column int) *stage, initial func(*stage) string) {
		line(slices.Concat([]string{""}, columns)...)
		for _, row := range rows {
			cells := []string{row.name}
			for column := range columns {
				s := enter(column)
				if _, is := row.event.(Demand); is {
					s.stretch()
				}
				cells = append(cells, s.cell(initial, func() []Action {
					if row.event != nil {
						return s.step(row.event)
					}
					return s.wait()
				}))
			}
			line(cells...)
			done.WriteString(strings.Join(cells[1:], ""))
		}
	}
	part(names(columns, func(c tableColumn) string { return c.name }), rows,
		func(column int) *stage { return enter(t, columns[column]) }, (*stage).initial)
	b.WriteString("//\n// The same of a loader, in a fleet of one preloaded worker, which is ready unless the loader\n// is the first. It is stopping because a reload has replaced its revision, and was aborted\n// and killed because it hung.\n//\n")
	part(names(loaderColumns, func(c loaderColumn) string { return c.name }), loaderRows,
		func(column int) *stage { return enterLoader(t, loaderColumns[column]) }, (*stage).loaderInitial)
	var used []string
	for _, l := range letters {
		if strings.Contains(done.String(), l.letter) {
			used = append(used, l.letter+" "+reflect.TypeOf(l.action).Name())
		}
	}
	half := (len(used) + 1) / 2
	fmt.Fprintf(&b, "//\n// An upper-case letter is the state that follows: S starting, R ready, D draining,\n// A aborted, K killed, G gone; of a loader S starting, R ready, T stopping, A aborted,\n// K killed, G gone. The others are what is done, to this worker or for the fleet:\n//\n//\t%s\n//\t%s\n", strings.Join(used[:half], ", "), strings.Join(used[half:], ", "))
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// The table in doc.go is what the brain does; -update rewrites it.
func TestTable(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	begin, end := bytes.Index(doc, []byte("//\t ")), bytes.Index(doc, []byte("//\n// An asterisk is a fact"))
	if begin < 0 || end < begin {
		t.Fatal("doc.go has no table")
	}
	want := table(t)
	if string(doc[begin:end]) == want {
		return
	}
	if !*update {
		t.Fatalf("doc.go says\n%s\nbut the brain does\n%s", doc[begin:end], want)
	}
	if err := os.WriteFile("doc.go", slices.Concat(doc[:begin], []byte(want), doc[end:]), 0o644); err != nil {
		t.Fatal(err)
	}
}
