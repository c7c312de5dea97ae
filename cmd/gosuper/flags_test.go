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
