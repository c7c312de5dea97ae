//go:build linux

package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor"
	"github.com/gosuper/gosuper/supervisor/control"
)

// TestMessageIsReadable: nothing in an error can act on a terminal.
func TestMessageIsReadable(t *testing.T) {
	for _, err := range []error{
		errors.New("a\x1b[2J\n\tb"),
		failure{errors.New("a\x1b[2J\n\tb"), "h\x1b[2J"},
		usageError{errors.New("a\x1b[2J\n\tb"), "h\x1b[2J"},
		unhealthy{failure{errors.New("a\x1b[2J\n\tb"), "h\x1b[2J"}},
		&control.Error{Message: "a\x1b[2J\n\tb", Hint: "h\x1b[2J"},
	} {
		got := message(err)
		want := "gosuper: error: a\uFFFD[2J\n    b\n"
		if strings.Contains(got, "hint") {
			want += "gosuper: hint: h\uFFFD[2J\n"
		}
		if got != want {
			t.Errorf("%T: %q, want %q", err, got, want)
		}
	}
	e := &control.Unreachable{Address: "@\x1b[2J", Err: errors.New("no")}
	if got, want := message(e), "gosuper: error: cannot reach a master at @\uFFFD[2J: no\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestStatusOfCommands: a mistake in the arguments is one of usage whether or not
// there is a master, and a probe that finds none is never one.
func TestStatusOfCommands(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		args string
		want int
	}{
		{"scale abc", exitUsage},
		{"scale 2 --control " + none, exitRuntime},
		{"recycle x", exitUsage},
		{"recycle 0 1", exitUsage},
		{"recycle all --control " + none, exitRuntime},
		{"health --control " + none, exitRuntime},
		{"health --no-such-flag", exitUsage},
		{"health word", exitUsage},
	} {
		var stdout, stderr strings.Builder
		environ := []string{"XDG_RUNTIME_DIR=" + t.TempDir()}
		if got := run(strings.Fields(c.args), environ, &stdout, &stderr); got != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.args, got, c.want, stderr.String())
		}
	}
	if got := status(unhealthy{&config.Errors{}}); got != exitRuntime {
		t.Errorf("a probe with a broken configuration: status %d, want %d", got, exitRuntime)
	}
}

// The hint about a server that goes into the background is for one that ended in
// silence, and not for a shell that ends with 0 after its server has failed.
func TestBootHint(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		hint  bool
	}{
		{nil, true},
		{[]string{"starting"}, true},
		{[]string{"cannot serve as worker 1: gosuper started process 7 (sh wrap.sh), not this one"}, false},
		{[]string{"Error: no such model"}, false},
	} {
		hint := bootHint(&supervisor.BootError{Worker: 1, Status: "exit status 0", Lines: tc.lines})
		if strings.Contains(hint, "background") != tc.hint {
			t.Errorf("after %q the hint is %q", tc.lines, hint)
		}
	}
}
