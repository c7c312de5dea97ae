package fleet

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
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

// wait lets time pass until the subject is due, and returns what is done then. If it
// never is, that is now.
func (s *stage) wait() (actions []Action) {
	due := s.now
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
	{"stuck", Ready, func(s *stage) { enterReady(s); s.step(foundStuck) }},
	{"leaving", Draining, func(s *stage) {
		enterReady(s)
		s.step(SaidStopping{subject})
		s.step(SaidReady{subject + 1})
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

func enterReady(s *stage) { s.step(Cooperates{subject}, SaidReady{subject}) }

func enterDraining(s *stage) {
	enterReady(s)
	s.step(Recycle{subject, ReasonRecycle})
	s.step(SaidReady{subject + 1})
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
	{"Executed", Executed{subject}},
	{"Waits", Waits{subject}},
	{"Cooperates", Cooperates{subject}},
	{"SaidReady", SaidReady{subject}},
	{"SaidStopping", SaidStopping{subject}},
	{"Extend", Extend{subject, time.Hour}},
	{"Recycle", Recycle{subject, ReasonRecycle}},
	{"Wish", Wish{subject, "tired"}},
	{"Looked, stuck", foundStuck},
	{"Looked, innocent", Looked{Sights: []Sight{{ID: subject, Overdue: true, Innocents: 1}}}},
	{"Looked, well", Looked{Sights: []Sight{{ID: subject}}}},
	{"Oversized", Oversized{subject}},
	{"ScaleBy +1", ScaleBy{1}},
	{"ScaleBy -1", ScaleBy{-1}},
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
	{"s", Spawn{}},
	{"a", Announce{}},
	{"w", Withdraw{}},
	{"p", Plain{}},
	{"f", FoundStuck{}},
	{"v", Recovered{}},
	{"d", Defer{}},
	{"r", Retire{}},
	{"h", Hasten{}},
	{"l", Prolong{}},
	{"x", Abort{}},
	{"k", Kill{}},
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
	s.step(SaidReady{1})
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

// state is that of the subject.
func (s *stage) state() State {
	if w, alive := s.Worker(subject); alive {
		return w.State
	}
	return gone
}

// cell says what the step means for the subject.
func (s *stage) cell(step func() []Action) string {
	before, was := s.state(), s.facts()
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
	after := s.state()
	switch {
	case after != before:
		return initials[after] + did.String()
	case did.Len() > 0:
		return did.String()
	case s.facts() != was:
		return "*"
	}
	return "."
}

// facts are all that the brain knows of the subject, and when it is due.
func (s *stage) facts() [2]any {
	w, _ := s.Worker(subject)
	due, _ := s.Deadline()
	return [2]any{w, due}
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

// table is what every event does in every state.
func table(t *testing.T) string {
	var b, done strings.Builder
	line := func(cells ...string) {
		fmt.Fprintf(&b, "//\t%-16s", cells[0])
		for _, cell := range cells[1:] {
			fmt.Fprintf(&b, "%-9s", cell)
		}
		b.WriteString("\n")
	}
	heads := []string{""}
	for _, column := range columns {
		heads = append(heads, column.name)
	}
	line(heads...)
	for _, row := range rows {
		cells := []string{row.name}
		for _, column := range columns {
			s := enter(t, column)
			cells = append(cells, s.cell(func() []Action {
				if row.event != nil {
					return s.step(row.event)
				}
				return s.wait()
			}))
		}
		line(cells...)
		done.WriteString(strings.Join(cells[1:], ""))
	}
	var names []string
	for _, l := range letters {
		if strings.Contains(done.String(), l.letter) {
			names = append(names, l.letter+" "+reflect.TypeOf(l.action).Name())
		}
	}
	half := (len(names) + 1) / 2
	fmt.Fprintf(&b, "//\n// An upper-case letter is the state that follows: S starting, R ready, D draining,\n// A aborted, K killed, G gone. The others are what is done, to this worker or for the\n// fleet:\n//\n//\t%s\n//\t%s\n", strings.Join(names[:half], ", "), strings.Join(names[half:], ", "))
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

// methods returns the types of a file that have the method.
func methods(t *testing.T, file, method string) (types []string) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == method {
			types = append(types, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	if len(types) == 0 {
		t.Fatalf("%s has no type with the method %s", file, method)
	}
	return types
}

// No event, no state and no action is left out of the table.
func TestTableIsComplete(t *testing.T) {
	for _, event := range methods(t, "event.go", "event") {
		is := func(r tableRow) bool { return r.event != nil && reflect.TypeOf(r.event).Name() == event }
		if !slices.ContainsFunc(rows, is) {
			t.Errorf("there is no row for %s", event)
		}
	}
	for _, action := range methods(t, "action.go", "action") {
		is := func(l tableLetter) bool { return reflect.TypeOf(l.action).Name() == action }
		if !slices.ContainsFunc(letters, is) {
			t.Errorf("there is no letter for %s", action)
		}
	}
	for state := range State(len(stored)) {
		if initials[state] == "" || state == gone {
			t.Errorf("there is no letter for %v (%d)", state, state)
		}
		if !slices.ContainsFunc(columns, func(c tableColumn) bool { return c.state == state }) {
			t.Errorf("there is no column for %v (%d)", state, state)
		}
	}
}

// An id that was never given to a worker is like that of one that is gone.
func TestUnknownWorker(t *testing.T) {
	for _, row := range rows {
		if row.event == nil || !reflect.ValueOf(row.event).FieldByName("ID").IsValid() {
			continue
		}
		s := enter(t, tableColumn{"ready", Ready, enterReady})
		was := s.facts()
		event := reflect.New(reflect.TypeOf(row.event)).Elem()
		event.FieldByName("ID").SetInt(99)
		if actions := s.step(event.Interface().(Event)); len(actions) > 0 || s.facts() != was {
			t.Errorf("%s of nobody: %s", row.name, describe(actions))
		}
	}
}
