package main

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/gosuper/gosuper/config"
)

func TestFlagValues(t *testing.T) {
	flags := pflag.NewFlagSet("gosuper", pflag.ContinueOnError)
	values := addFlags(flags)
	args := []string{"-w", "2", "--workers=3", "-b", ":1", "--bind", ":2,:3", "-e", "A=1", "-e", "B=x,y", "--log-level", ""}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"workers":   {"3"}, // the last one
		"bind":      {":1", ":2,:3"},
		"env":       {"A=1", "B=x,y"},
		"log.level": {""}, // given, though empty
	}
	if got := values.given(); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%q, not %q", got, want)
	}
}

// TestFlagNames holds the flags to those of the keys, and --help to all of them.
func TestFlagNames(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run([]string{"--help"}, nil, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("status %d: %s", code, &stderr)
	}
	for _, k := range config.Keys() {
		if k.Flag != "" && !strings.Contains(stdout.String(), "--"+k.Flag+" ") {
			t.Errorf("--help does not mention --%s", k.Flag)
		}
	}
}

// TestPromisedFlags: each flag that there is to be is one, or its absence is
// explained.
func TestPromisedFlags(t *testing.T) {
	for name := range strings.FieldsSeq(`config bind workers worker-class worker-connections workers-max timeout graceful-timeout drain-timeout
		startup-timeout keep-alive max-requests max-requests-jitter preload reload backlog reuse-port pid user group umask env chdir name
		log-level log-format error-logfile access-logfile control admin check-config version ready env-file`) {
		var stderr bytes.Buffer
		run([]string{"--" + name}, nil, &bytes.Buffer{}, &stderr)
		if text := stderr.String(); strings.Contains(text, "unknown flag") && !strings.Contains(text, "hint: this version ") {
			t.Errorf("--%s: %s", name, text)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"one", "one"},
		{"one two three", "one two\n  three"},
		{"a-word-that-is-too-long two", "a-word-that-is-too-long\n  two"},
	} {
		if got := wrap(c.text, 8, "  "); got != c.want {
			t.Errorf("wrap(%q) = %q, not %q", c.text, got, c.want)
		}
	}
}
