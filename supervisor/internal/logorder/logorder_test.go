//go:build linux

package logorder

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// observed is a log of which one can see what is written, and when it has caught up.
func observed(level zapcore.Level) (l *Log, written func() []string, idle chan struct{}) {
	core, log := observer.New(level)
	idle = make(chan struct{}, 100)
	return New(zap.New(core), func() { idle <- struct{}{} }), func() (lines []string) {
		for _, e := range log.All() {
			lines = append(lines, fmt.Sprint(e.Message, e.ContextMap()))
		}
		return lines
	}, idle
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestOrder: what is written to the log while a line waits comes behind it, with the time
// at which it was written, and nobody waits.
func TestOrder(t *testing.T) {
	l, written, idle := observed(zap.InfoLevel)
	passed := make(chan struct{})
	l.Info("started", zap.Int("worker", 1))
	l.Behind(func(time.Duration) ([]zap.Field, bool) {
		<-passed
		return []zap.Field{zap.String("wrote", "this")}, true
	}, zap.ErrorLevel, "exited")
	l.Info("started", zap.Int("worker", 2))
	l.Debug("not to be seen")
	l.Behind(func(time.Duration) ([]zap.Field, bool) { return nil, true }, zap.InfoLevel, "gone")
	expect(t, "before", written(), "startedmap[worker:1]")
	if !l.Busy() {
		t.Error("no line waits")
	}
	close(passed)
	if l.Sync() != nil || l.Busy() {
		t.Error("lines wait that are written")
	}
	expect(t, "after", written(), "startedmap[worker:1]", "exitedmap[wrote:this]", "startedmap[worker:2]", "gonemap[]")
	<-idle
	l.Info("ready")
	expect(t, "later", written()[4:], "readymap[]")
}

// TestLevel: output is passed on although nobody wants to read the line behind it.
func TestLevel(t *testing.T) {
	l, written, _ := observed(zap.ErrorLevel)
	passed := false
	l.Behind(func(time.Duration) ([]zap.Field, bool) {
		passed = true
		return nil, true
	}, zap.InfoLevel, "gone")
	l.Finish()
	if !passed || len(written()) > 0 {
		t.Errorf("passed on: %t, written: %q", passed, written())
	}
}

// TestSlowReader: however many lines come behind output that nobody takes, one of them
// waits for it, and one more after a while.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, written, _ := observed(zap.InfoLevel)
		begin := time.Now()
		slow := func(atMost time.Duration) ([]zap.Field, bool) {
			<-time.After(atMost)
			return nil, false
		}
		for range 200 {
			l.Behind(slow, zap.ErrorLevel, "exited")
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("who writes to the log has waited for %v", took)
		}
		if l.Finish(); time.Since(begin) != PassTime || len(written()) != 200 {
			t.Errorf("%d lines took %v", len(written()), time.Since(begin))
		}
		<-time.After(passAgain)
		begin = time.Now()
		l.Behind(slow, zap.ErrorLevel, "exited")
		if l.Finish(); time.Since(begin) != PassTime {
			t.Errorf("after a while it was waited for %v", time.Since(begin))
		}
	})
}
