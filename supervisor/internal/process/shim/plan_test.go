//go:build linux

package shim

import (
	"math"
	"reflect"
	"strconv"
	"testing"
)

func TestPlan(t *testing.T) {
	for name, p := range map[string]*Plan{
		"least": {Master: 1, Path: "/x", Argv: []string{"x"}, Env: []string{}, Files: 3, Umask: -1, Limits: Limits{NoFile: -1, Core: -1, AS: -1}},
		"all": {
			Master: 4194304, Path: "x=y", Dir: "/a b", Argv: []string{"", "0=1", "="}, Files: 10, Umask: 0o777,
			Env:    []string{"A=1", "A=2", "noequals", "=", "", "5=6", "GODEBUG=x"},
			Limits: Limits{NoFile: 1 << 20, Core: 0, AS: 1 << 50, Nice: -20, OOMScoreAdj: -1000, NoNewPrivs: true},
			User:   &User{UID: math.MaxUint32 - 1, GID: 0, Groups: []uint32{0, math.MaxUint32 - 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parse(p.Environ())
			if !ok || !reflect.DeepEqual(got, p) {
				t.Errorf("got  %+v, %v\nwant %+v", got, ok, p)
			}
		})
	}
}

func TestPlanRefused(t *testing.T) {
	for _, environ := range [][]string{
		{key},
		{key + "1"},
		{key + "1 3 -1"},
		{key + "1 3 -1 1 -1 -1 -1 0 0 0", "0=/x"},
		{key + "1 3 -1 1 -1 -1 -1 0 0", "0=/x", "1=", "2=x"},
		{key + "1 3 -1 1 -1 -1 -1 0 0 0", "0=/x", "1="},
		{key + "1 3 -1 -1 -1 -1 -1 0 0 0", "0=/x", "1=", "2=x"},
		{key + "1 3 -1 1 -1 -1 -1 0 0 0 5", "0=/x", "1=", "2=x"},
		{key + "1 3 - 1 -1 -1 -1 0 0 0", "0=/x", "1=", "2=x"},
		{key + "x 3 -1 1 -1 -1 -1 0 0 0", "0=/x", "1=", "2=x"},
		{key + "9999999999999999999 3 -1 1 -1 -1 -1 0 0 0", "0=/x", "1=", "2=x"},
		{key + "yes", "", "A=1"},
	} {
		if p, ok := parse(environ); ok {
			t.Errorf("%q gave %+v", environ, p)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1 3 -1 1 9 8 7 6 5 1 5 5", "0=/x", "1=", "2=x")
	f.Fuzz(func(t *testing.T, head, a, b, c string) {
		parse([]string{key + head, a, b, c}) // must not panic: init has no one to catch it
	})
}

func TestNumbers(t *testing.T) {
	for _, n := range []int{0, 1, -1, 9, 10, 4294967295, -4294967295} {
		if got, want := itoa(n), strconv.Itoa(n); got != want {
			t.Errorf("itoa(%d) is %q", n, got)
		}
		if got, ok := atoi(itoa(n)); got != n || !ok {
			t.Errorf("atoi(%d) is %d, %v", n, got, ok)
		}
	}
}
