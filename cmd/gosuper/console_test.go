//go:build linux

package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 5e6, time.UTC)

func TestConsoleEncoder(t *testing.T) {
	for _, c := range []struct {
		name    string
		level   zapcore.Level
		message string
		fields  []zapcore.Field
		want    string
	}{
		{"no fields", zap.InfoLevel, "stopped", nil, "12:00:00.005 INFO  stopped\n"},
		{
			"aligned", zap.InfoLevel, "worker ready",
			[]zapcore.Field{zap.Int("worker", 1), zap.Duration("after", 11*time.Millisecond)},
			"12:00:00.005 INFO  worker ready     worker=1 after=11ms\n",
		},
		{
			"page", zap.InfoLevel, "admin listener",
			[]zapcore.Field{zap.String("url", "tcp://127.0.0.1:9090")},
			"12:00:00.005 INFO  page on http://127.0.0.1:9090\n",
		},
		{
			"long message", zap.WarnLevel, "worker is not ready in time",
			[]zapcore.Field{zap.Int("worker", 1)},
			"12:00:00.005 WARN  worker is not ready in time worker=1\n",
		},
		{
			"quoted", zap.InfoLevel, "m",
			[]zapcore.Field{zap.String("a", "b c"), zap.String("empty", ""), zap.String("esc", "\x1b[2J")},
			"12:00:00.005 INFO  m                a=\"b c\" empty=\"\" esc=\"\\x1b[2J\"\n",
		},
		{
			"lists", zap.InfoLevel, "m",
			[]zapcore.Field{zap.Strings("bind", []string{"a", "b"}), zap.Strings("changed", nil)},
			"12:00:00.005 INFO  m                bind=\"a b\"\n",
		},
		{
			"lines below", zap.ErrorLevel, "worker crashed",
			[]zapcore.Field{zap.Strings("last_lines", []string{"one", "two"}), zap.Int("worker", 1)},
			"12:00:00.005 ERROR worker crashed   worker=1\n             | one\n             | two\n",
		},
		{
			"error of several lines", zap.ErrorLevel, "refused",
			[]zapcore.Field{zap.Error(errors.New("2 errors\n  a\n  b"))},
			"12:00:00.005 ERROR refused          error=\"2 errors\"\n             |   a\n             |   b\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			line, err := consoleEncoder{}.EncodeEntry(zapcore.Entry{Level: c.level, Time: noon, Message: c.message}, c.fields)
			if err != nil {
				t.Fatal(err)
			}
			if line.String() != c.want {
				t.Errorf("%q\nnot\n%q", line, c.want)
			}
		})
	}
}

// TestConsoleBesideWorkers: where workers write, their lines are not repeated.
func TestConsoleBesideWorkers(t *testing.T) {
	entry := zapcore.Entry{Level: zap.ErrorLevel, Time: noon, Message: "worker crashed"}
	line, err := consoleEncoder{workers: true}.EncodeEntry(entry, []zapcore.Field{zap.Int("worker", 1), zap.Strings("last_lines", []string{"one"})})
	if err != nil {
		t.Fatal(err)
	}
	if want := "12:00:00.005 ERROR worker crashed   worker=1\n"; line.String() != want {
		t.Errorf("%q, not %q", line, want)
	}
}

// TestConsoleReady: what everybody waits for is said in words.
func TestConsoleReady(t *testing.T) {
	for _, c := range []struct {
		bind    []string
		workers int
		tls     bool
		keys    bool
		want    string
	}{
		{[]string{"tcp://127.0.0.1:8000"}, 2, false, true, "ready on http://127.0.0.1:8000 (2 workers, Ctrl-C stops)"},
		{[]string{"tcp://[::1]:443", "unix:///run/s"}, 1, true, false, "ready on https://[::1]:443 and unix:/run/s (1 worker)"},
	} {
		entry := zapcore.Entry{Level: zap.InfoLevel, Time: noon, Message: "ready"}
		fields := []zapcore.Field{zap.Int("workers", c.workers), zap.Strings("bind", c.bind), zap.Bool("tls", c.tls)}
		line, err := consoleEncoder{keys: c.keys}.EncodeEntry(entry, fields)
		if err != nil {
			t.Fatal(err)
		}
		if want := "12:00:00.005 INFO  " + c.want + "\n"; line.String() != want {
			t.Errorf("%q, not %q", line, want)
		}
	}
}

// TestConsoleIsShort: of what names a worker, people get what its number does not
// say.
func TestConsoleIsShort(t *testing.T) {
	for _, c := range []struct {
		level                           zapcore.Level
		message                         string
		worker, slot, place, generation int
		want                            string
	}{
		{zap.InfoLevel, "worker started", 1, 0, 0, 1, "worker=1"},
		{zap.InfoLevel, "worker started", 4, 3, 3, 1, "worker=4"},
		{zap.InfoLevel, "worker started", 4, 0, 0, 1, "worker=4 slot=0"},
		{zap.InfoLevel, "worker started", 2, 1, 4, 1, "worker=2 place=4"},
		{zap.InfoLevel, "worker started", 2, 1, 1, 7, "worker=2 generation=7"},
		{zap.InfoLevel, "worker ready  ", 4, 0, 3, 7, "worker=4"},
		{zap.ErrorLevel, "worker crashed", 4, 0, 3, 7, "worker=4 slot=0 generation=7 place=3"},
	} {
		entry := zapcore.Entry{Level: c.level, Time: noon, Message: c.message}
		fields := []zapcore.Field{zap.Int("worker", c.worker), zap.Int("slot", c.slot), zap.Int("generation", c.generation), zap.Int("place", c.place)}
		line, err := consoleEncoder{}.EncodeEntry(entry, fields)
		if err != nil {
			t.Fatal(err)
		}
		if _, got, _ := strings.Cut(strings.TrimSuffix(line.String(), "\n"), c.message+"   "); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestConsoleColours: colours add nothing but colours.
func TestConsoleColours(t *testing.T) {
	entry := zapcore.Entry{Level: zap.ErrorLevel, Time: noon, Message: "worker crashed"}
	fields := []zapcore.Field{zap.Int("worker", 1), zap.Strings("last_lines", []string{"one"})}
	bare, err1 := consoleEncoder{}.EncodeEntry(entry, fields)
	coloured, err2 := consoleEncoder{colour: true}.EncodeEntry(entry, fields)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	text := coloured.String()
	if !strings.Contains(text, "\x1b[31mERROR\x1b[0m") {
		t.Errorf("an error is not red: %q", text)
	}
	for _, c := range []string{dim, red, yellow, bold, "0"} {
		text = strings.ReplaceAll(text, "\x1b["+c+"m", "")
	}
	if text != bare.String() {
		t.Errorf("%q\nnot\n%q", text, bare)
	}
}
