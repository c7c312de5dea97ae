//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor"
	"github.com/gosuper/gosuper/supervisor/files"
)

// logs is the destination of the master's own log: stderr or a file, which may
// change while the master runs.
type logs struct {
	streams streams
	config  config.Log
	to      *screen  // stderr or stdout; of no account with a file
	file    *os.File // nil: to
	queue   *queue
	level   zap.AtomicLevel
	encoder atomic.Pointer[encoder]
}

// encoder makes a line of an entry; zap's encoders are some.
type encoder interface {
	EncodeEntry(zapcore.Entry, []zapcore.Field) (*buffer.Buffer, error)
}

// openLogs starts the log. Lines are written by a goroutine of their own, so
// that a reader of stderr who has stopped reading cannot stop the master.
func openLogs(c config.Log, s streams) (*logs, error) {
	l := &logs{streams: s, level: zap.NewAtomicLevel()}
	l.queue = newQueue(l.lost)
	if err := l.Apply(c); err != nil {
		return nil, err
	}
	return l, nil
}

// Logger returns the logger, which follows every later change.
func (l *logs) Logger() *zap.Logger { return zap.New(&core{logs: l}) }

// Apply puts other settings into force; on error the old ones stay.
func (l *logs) Apply(c config.Log) error {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return fmt.Errorf("cannot use the log level: %w", err)
	}
	if c.File != l.config.File {
		if err := l.open(c.File); err != nil {
			return err
		}
	}
	e := l.newEncoder(c.Format)
	l.encoder.Store(&e)
	for _, s := range l.streams.each() {
		s.manner.Store(l.manner(c, e, s))
	}
	l.level.SetLevel(level)
	l.config = c
	return nil
}

// Reopen opens the log file anew, after somebody moved it.
func (l *logs) Reopen() error {
	if l.file == nil {
		return nil
	}
	return l.open(l.config.File)
}

// open directs the log to the file; "-" is stderr.
func (l *logs) open(path string) error {
	if path == "-" || path == config.Stdout {
		l.to = l.streams.stderr
		if path == config.Stdout {
			l.to = l.streams.stdout
		}
		l.queue.redirect(l.to, l.file)
		l.file = nil
		return nil
	}
	fd, err := files.OpenLog(path)
	if err != nil {
		return fmt.Errorf("cannot open the log: %w", err)
	}
	f := os.NewFile(uintptr(fd), path)
	l.queue.redirect(f, l.file)
	l.file = f
	return nil
}

// Waiting is how many lines nobody has taken yet.
func (l *logs) Waiting() int { return l.queue.waiting() }

// Close writes what is still queued, as far as the reader lets it.
func (l *logs) Close() { l.queue.close() }

// newEncoder returns the encoder of a format for the place in force.
func (l *logs) newEncoder(format string) encoder {
	onTerminal := l.file == nil && l.to.terminal
	if format == "console" || format == "auto" && onTerminal {
		workers := l.file == nil && l.to == l.streams.stderr
		return consoleEncoder{colour: onTerminal && l.to.colour, workers: workers, keys: workers && onTerminal}
	}
	c := zap.NewProductionEncoderConfig()
	c.TimeKey = "time"
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	c.EncodeDuration = zapcore.StringDurationEncoder
	return zapcore.NewJSONEncoder(c)
}

// manner is how what workers write is passed on to a screen. In a log for people
// wrapped lines are those that begin with a number.
func (l *logs) manner(c config.Log, e encoder, s *screen) *manner {
	console, isConsole := e.(consoleEncoder)
	wrapped := c.Workers == config.Wrapped
	m := &manner{safe: s.terminal || wrapped && isConsole}
	m.marks = isConsole && (wrapped || s.terminal && console.keys)
	if wrapped && !isConsole {
		m.wrap = l.wrap
	}
	return m
}

// wrap makes a line of the log of what a worker wrote.
func (l *logs) wrap(worker int, stream supervisor.Stream, line []byte, whole bool) string {
	var fields []zap.Field
	if worker > 0 {
		fields = append(fields, zap.Int("worker", worker))
	}
	if stream != supervisor.Both {
		fields = append(fields, zap.String("stream", string(stream)))
	}
	if fields = append(fields, zap.ByteString("line", line)); !whole {
		fields = append(fields, zap.Bool("goes_on", true))
	}
	text, err := l.encode(zapcore.Entry{Level: zapcore.InfoLevel, Time: time.Now(), Message: "worker output"}, fields)
	if err != nil {
		return ""
	}
	return text
}

// lost makes the line that stands for lines which nobody read in time.
func (l *logs) lost(lines int) string {
	text, err := l.encode(zapcore.Entry{Level: zapcore.WarnLevel, Time: time.Now(), Message: "log lines lost: the reader was too slow"},
		[]zapcore.Field{zap.Int("lines", lines)})
	if err != nil {
		return ""
	}
	return text
}

// encode returns a line in the format in force.
func (l *logs) encode(e zapcore.Entry, fields []zapcore.Field) (string, error) {
	line, err := (*l.encoder.Load()).EncodeEntry(e, fields)
	if err != nil {
		return "", err
	}
	defer line.Free()
	return withoutControls(line.String()), nil
}

// withoutControls escapes as JSON does what drives a terminal and zap writes as it
// is: DEL and the controls of ISO 6429 above it.
func withoutControls(line string) string {
	control := func(r rune) bool { return r >= 0x7f && r < 0xa0 }
	if !strings.ContainsFunc(line, control) {
		return line
	}
	var b strings.Builder
	for _, r := range line {
		if control(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// core is the zapcore.Core of logs.
type core struct{ logs *logs }

func (c *core) Enabled(l zapcore.Level) bool { return c.logs.level.Enabled(l) }

// With is not used by the master, which names all fields of a line in one place.
func (c *core) With([]zapcore.Field) zapcore.Core { return c }

func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	line, err := c.logs.encode(e, fields)
	if err == nil {
		c.logs.queue.add(line)
	}
	return err
}

// Sync returns when all earlier lines are written, or with an error when whoever
// reads them is too slow.
func (c *core) Sync() error { return c.logs.queue.flush() }
