//go:build linux

// Package logorder keeps the lines of a log in their order where one of them has to wait:
// what is said of the end of a process comes behind the last that it wrote. It is the log
// that waits then, in a goroutine of its own, and nobody who writes to it.
package logorder

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// What comes behind output waits for it so long at most: normally it is passed on already.
// When whoever reads it was too slow once, nobody waits for it again before passAgain is
// over.
const (
	PassTime  = 50 * time.Millisecond
	passAgain = 10 * time.Second
)

// Log is a logger whose lines can wait. Its methods may be called by any goroutine.
type Log struct {
	*zap.Logger
	lines *lines
}

// New returns a log that goes where the logger writes to. idle is called by another
// goroutine when no line waits any more, after Busy has said that one does.
func New(to *zap.Logger, idle func()) *Log {
	l := &lines{to: to.Core(), idle: idle}
	return &Log{to.WithOptions(zap.WrapCore(func(zapcore.Core) zapcore.Core { return l })), l}
}

// Output is what a line comes behind. It returns the fields of the line when all of it is
// passed on, or with false after atMost.
type Output func(atMost time.Duration) (fields []zap.Field, passed bool)

// Behind writes a line when output is passed on. What is written to the log later comes
// behind it.
func (l *Log) Behind(output Output, level zapcore.Level, message string) {
	l.lines.add(line{entry: zapcore.Entry{Level: level, Time: time.Now(), Message: message}, behind: output})
}

// Busy says whether a line waits.
func (l *Log) Busy() bool {
	l.lines.mu.Lock()
	defer l.lines.mu.Unlock()
	l.lines.asked = l.lines.busy != nil
	return l.lines.asked
}

// Finish returns when no line waits any more.
func (l *Log) Finish() { l.lines.finish() }

// lines is the core of the logger.
type lines struct {
	to    zapcore.Core
	idle  func()
	hurry time.Time // until then no output is waited for; of the goroutine alone

	mu      sync.Mutex    // guards what follows, for a moment
	waiting []line        // in their order
	busy    chan struct{} // closed when none waits any more; nil: none does
	asked   bool          // whether one does, which it did
}

// line is one that waits, be it for one before it.
type line struct {
	entry  zapcore.Entry
	fields []zap.Field
	behind Output // nil: nothing, and fields are known
}

// add adds a line that waits.
func (l *lines) add(one line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, one)
	if l.busy == nil {
		l.busy = make(chan struct{})
		go l.run()
	}
}

// run is the goroutine. It writes lines until none waits any more.
func (l *lines) run() {
	for one, ok := l.next(); ok; one, ok = l.next() {
		if one.behind != nil {
			one.fields = l.await(one.behind)
		}
		if l.to.Enabled(one.entry.Level) {
			_ = l.to.Write(one.entry, one.fields) // there is nobody to tell about a log that cannot be written
		}
	}
}

// next takes the next line; false: none waits.
func (l *lines) next() (next line, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		close(l.busy)
		if l.asked {
			go l.idle()
		}
		l.waiting, l.busy, l.asked = nil, nil, false
		return next, false
	}
	next, l.waiting = l.waiting[0], l.waiting[1:]
	return next, true
}

// await waits for output, but not for one after the other while nobody takes it.
func (l *lines) await(output Output) []zap.Field {
	now, atMost := time.Now(), PassTime
	if l.hurry.After(now) {
		atMost = 0
	}
	fields, passed := output(atMost)
	if !passed && atMost > 0 {
		l.hurry = now.Add(passAgain)
	}
	return fields
}

// waited is closed when no line waits any more; nil: none does.
func (l *lines) waited() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy
}

// finish returns when no line waits any more.
func (l *lines) finish() {
	if waited := l.waited(); waited != nil {
		<-waited
	}
}

// What follows makes it a zapcore.Core.

func (l *lines) Enabled(level zapcore.Level) bool { return l.to.Enabled(level) }

// With is not used by the master, which names all fields of a line in one place.
func (l *lines) With([]zap.Field) zapcore.Core { return l }

func (l *lines) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(e.Level) {
		return to.AddCore(e, l)
	}
	return to
}

func (l *lines) Write(e zapcore.Entry, fields []zap.Field) error {
	if l.follows(line{entry: e, fields: fields}) {
		return nil
	}
	return l.to.Write(e, fields)
}

// follows adds a line behind others that wait; false: there are none.
func (l *lines) follows(one line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy == nil {
		return false
	}
	l.waiting = append(l.waiting, one)
	return true
}

func (l *lines) Sync() error {
	l.finish()
	return l.to.Sync()
}
