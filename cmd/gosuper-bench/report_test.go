//go:build linux

package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	var r report
	run := func(rate float64, lost map[string]int) sample {
		losses := seen("lost", lost)
		losses.must = none
		return sample{perSecond("requests", rate), losses, span("after")}
	}
	for i, rate := range []float64{90, 100, 110} {
		mine, other := run(rate, nil), run(100, map[string]int{"no answer": i, "cut answer": 1})
		r.add("steady", "gosuper", mine)
		r.add("steady", "bare", other)
		r.pair("steady", "bare", mine, other)
	}
	r.add("idle", "gosuper", sample{span("p50", 1234567*time.Nanosecond)})
	want := `| scenario | figure | gosuper | bare |
| --- | --- | --- | --- |
| steady | requests per second | 100 | 100; ratio 1.000 (0.950–1.050, n=3) |
|  | lost | 0 | cut answer: 3, no answer: 3 |
|  | after | – | – |
| idle | p50 | 1.23ms | – |
`
	if got := r.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := r.verdict(); err != nil {
		t.Errorf("the losses of others are no failure: %v", err)
	}
	r.add("steady", "gosuper", run(1, map[string]int{"cut answer": 1}))
	if r.verdict() == nil {
		t.Error("a loss of gosuper is a failure")
	}
}

func TestQuantile(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		q      float64
		want   string
	}{
		{nil, 0.5, "NaN"},
		{[]float64{3}, 0.99, "3"},
		{[]float64{3, 1, 2}, 0.5, "2"},
		{[]float64{4, 1, 2, 3}, 0.5, "2.5"},
		{[]float64{4, 1, 2, 3, 5}, 0.25, "2"},
		{[]float64{4, 1, 2, 3, 5}, 1, "5"},
	} {
		if got := fmt.Sprint(quantile(tc.values, tc.q)); got != tc.want {
			t.Errorf("quantile(%v, %v) = %s, want %s", tc.values, tc.q, got, tc.want)
		}
	}
}

// TestFamily counts CPU time of a child that is gone and sees one that lives.
func TestFamily(t *testing.T) {
	cmd := exec.Command("sh", "-c", `(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done); echo done; exec sleep 60`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if _, err := fmt.Fscanln(out, new(string)); err != nil {
		t.Fatal(err)
	}
	if used := cpuOf(cmd.Process.Pid); used == 0 {
		t.Error("no CPU time")
	}
	found := false
	for _, s := range family(os.Getpid()) {
		found = found || s.pid == cmd.Process.Pid && s.parent == os.Getpid()
	}
	if !found {
		t.Error("a child is not in the family")
	}
	all := family(cmd.Process.Pid)
	if resident, proportional := memory(all); resident == 0 || proportional > resident {
		t.Errorf("memory: %d, %d", resident, proportional)
	}
	if wakeUps(all) == 0 {
		t.Error("it never waited")
	}
}

// TestPageHasTheTablesOfItsCommands: each table on the page has the scenarios of the
// command above it.
func TestPageHasTheTablesOfItsCommands(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var names, rows []string
	tables := 0
	check := func() {
		if names == nil {
			return
		}
		tables++
		if _, err := choose(names); err != nil {
			t.Error(err)
		}
		shown := slices.DeleteFunc(rows, func(name string) bool { return name == "" })
		if want := slices.Concat([]string{"scenario", "---"}, names); !slices.Equal(shown, want) {
			t.Errorf("the first column of a table is %q, want %q", shown, want)
		}
		rows = nil
	}
	for line := range strings.Lines(string(text)) {
		if args, is := strings.CutPrefix(line, "bin/gosuper-bench "); is {
			check()
			words := csv.NewReader(strings.NewReader(args)) // of which some are in quotes
			words.Comma = ' '
			fields, err := words.Read()
			if err != nil {
				t.Fatal(err)
			}
			cmd := newCommand(io.Discard, io.Discard)
			if err := cmd.ParseFlags(fields); err != nil {
				t.Fatal(err)
			}
			names = cmd.Flags().Args()
		}
		if cells := strings.Split(line, " | "); len(cells) > 2 && strings.HasPrefix(line, "| ") {
			rows = append(rows, strings.TrimPrefix(cells[0], "| "))
		}
	}
	check()
	if tables == 0 {
		t.Error("there is no table")
	}
}
