package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// event is what test2json tells; see go doc test2json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds, of what has ended
}

// skip is a test that was left out.
type skip struct {
	reason, name string
}

type skips []skip

// span is how long a test took, in seconds, or a whole package.
type span struct {
	seconds float64
	name    string
}

type spans []span

// worthTelling is how many of the longest are told, and briefest how long one takes at
// least, in seconds.
const (
	worthTelling = 10
	briefest     = 1
)

// running is a package whose tests run.
type running struct {
	own    strings.Builder // what belongs to no test
	tests  []string        // those that have not passed, in the order of their begin
	output map[string]*strings.Builder
}

// report copies to w what go test would print of the events in r, and returns the
// tests that were left out, and how long others took.
func report(w io.Writer, r io.Reader) (left skips, took spans, err error) {
	packages := map[string]*running{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF && line == "" {
			return left, took, nil
		}
		if err != nil && err != io.EOF {
			return left, took, err
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" { // what go test says of itself
			fmt.Fprint(w, line)
			continue
		}
		if e.Package == "" { // a package that cannot be built
			fmt.Fprint(w, e.Output)
			continue
		}
		if ended := e.Action == "pass" || e.Action == "fail"; ended && e.Elapsed >= briefest && !strings.Contains(e.Test, "/") {
			took = append(took, span{e.Elapsed, strings.TrimSpace(e.Package + " " + e.Test)})
		}
		p := packages[e.Package]
		if p == nil {
			p = &running{output: map[string]*strings.Builder{}}
			packages[e.Package] = p
		}
		switch {
		case e.Action == "output" && e.Test == "":
			p.own.WriteString(e.Output)
		case e.Action == "output":
			p.of(e.Test).WriteString(e.Output)
		case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
			p.write(w, e.Action == "fail")
			delete(packages, e.Package)
		case e.Action == "skip":
			left = append(left, skip{reason(p.of(e.Test).String()), e.Package + " " + e.Test})
			p.forget(e.Test)
		case e.Action == "pass":
			p.forget(e.Test)
		}
	}
}

// of returns what a test has written.
func (p *running) of(test string) *strings.Builder {
	if p.output[test] == nil {
		p.output[test] = new(strings.Builder)
		p.tests = append(p.tests, test)
	}
	return p.output[test]
}

// forget is for a test that has nothing to complain of.
func (p *running) forget(test string) {
	delete(p.output, test)
	p.tests = slices.DeleteFunc(p.tests, func(t string) bool { return t == test })
}

// write prints the result of a package, and if it failed why: what the tests
// wrote that failed or did not end.
func (p *running) write(w io.Writer, failed bool) {
	if failed {
		for _, test := range p.tests {
			fmt.Fprint(w, p.output[test])
		}
		fmt.Fprint(w, &p.own)
		return
	}
	lines := slices.Collect(strings.Lines(p.own.String()))
	for _, line := range lines[max(0, len(lines)-1):] {
		fmt.Fprint(w, line)
	}
}

// place is where in the source a test says something.
var place = regexp.MustCompile(`^\s*\w+\.go:\d+: `)

// reason finds in what a test wrote why it was left out: what it said last. What
// testscript says comes after that, and is the script.
func reason(output string) string {
	why := "it does not say why"
	for line := range strings.Lines(output) {
		if at := place.FindString(line); at != "" && !strings.Contains(at, "testscript.go:") {
			why = strings.TrimSpace(line[len(at):])
		}
	}
	return why
}

// write lists what was left out, by reason, in an order that does not hang on which
// package was ready first.
func (all skips) write(w io.Writer) {
	if len(all) == 0 {
		fmt.Fprintln(w, "\nNothing was left out.")
		return
	}
	slices.SortFunc(all, func(a, b skip) int {
		return cmp.Or(cmp.Compare(a.reason, b.reason), cmp.Compare(a.name, b.name))
	})
	fmt.Fprintf(w, "\nLeft out, and what was lacking (%d):\n", len(all))
	for i, s := range all {
		if i == 0 || s.reason != all[i-1].reason {
			fmt.Fprintf(w, "\n%s\n", s.reason)
		}
		fmt.Fprintf(w, "    %s\n", s.name)
	}
}

// write lists what took the longest: packages, which run beside each other, and tests,
// the waiting for their turn left out.
func (all spans) write(w io.Writer) {
	slices.SortStableFunc(all, func(a, b span) int { return cmp.Compare(b.seconds, a.seconds) })
	for i, one := range all[:min(worthTelling, len(all))] {
		if i == 0 {
			fmt.Fprint(w, "\nWhat took the longest, in seconds:\n\n")
		}
		fmt.Fprintf(w, "    %6.1f  %s\n", one.seconds, one.name)
	}
}
