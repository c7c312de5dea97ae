//go:build linux

package main

import (
	"io"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor"
)

// newOutput describes a file that somebody may be looking at.
func newOutput(f *os.File, environ []string) *screen {
	s := newScreen(supervisor.NewOutput(f))
	s.terminal = isTerminal(f)
	s.colour = s.terminal
	for _, e := range environ {
		// https://no-color.org: set to anything but nothing.
		value, set := strings.CutPrefix(e, "NO_COLOR=")
		if set && value != "" || e == "TERM=dumb" {
			s.colour = false
		}
	}
	return s
}

// lineWidth is how many letters a line has where w is a terminal; elsewhere lines have no end.
func lineWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
	}
	return math.MaxInt
}

// streams are stdout and stderr of the master.
type streams struct{ stdout, stderr *screen }

// newStreams looks at both: where they are the same file there is one screen.
func newStreams(environ []string) streams {
	s := streams{stderr: newOutput(os.Stderr, environ)}
	one, err := os.Stdout.Stat()
	other, otherErr := os.Stderr.Stat()
	if err == nil && otherErr == nil && os.SameFile(one, other) {
		s.stdout = s.stderr
	} else {
		s.stdout = newOutput(os.Stdout, environ)
	}
	return s
}

// Worker implements [supervisor.Streams].
func (s streams) Worker(id int, stream supervisor.Stream) io.Writer {
	if stream == supervisor.Stdout {
		return s.stdout.worker(id, stream)
	}
	return s.stderr.worker(id, stream)
}

// Joined implements [supervisor.Streams].
func (s streams) Joined() bool { return s.stdout == s.stderr }

// Turn implements [supervisor.Streams].
func (s streams) Turn(stream supervisor.Stream) func(time.Duration) ([]byte, func(wrote, whole bool), bool) {
	if stream == supervisor.Stdout {
		return s.stdout.take
	}
	return s.stderr.take
}

// each are the two, or the one.
func (s streams) each() []*screen {
	if s.Joined() {
		return []*screen{s.stderr}
	}
	return []*screen{s.stdout, s.stderr}
}

func isTerminal(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var is bool
	err = conn.Control(func(fd uintptr) {
		_, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
		is = err == nil
	})
	return is && err == nil
}
