//go:build linux

package accesslog

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/state"
)

// successor takes the place of a paused log, with descriptors that survive the
// end of the one before.
func successor(t *testing.T, before *Log) *Log {
	t.Helper()
	snapshot := before.Snapshot()
	text, _, err := state.Write(&snapshot, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	var s Snapshot
	if _, err := state.Read(text, &s, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	for _, fd := range []*int{&s.ReadEnd, &s.WriteEnd, &s.Destination} {
		if *fd < 0 {
			continue
		}
		if *fd, err = unix.FcntlInt(uintptr(*fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	}
	// What the exec does to it.
	before.pipe.Close()
	unix.Close(before.writeEnd)
	if before.current != nil {
		before.current.close()
	}
	after, err := restore(s, before.stdout, before.report)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func waitFor(t *testing.T, what string, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}

// Workers write, the file is rotated, and now and then another image takes over.
func TestSuccessorsLoseNoLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := open(path, unix.Stdout, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	const lines = 2000
	workers, ended := map[int]int{}, make(chan struct{})
	var waits []func()
	for range 2 {
		pid, wait := startWorker(t, l, lines)
		workers[pid] = lines
		waits = append(waits, wait)
	}
	go func() {
		defer close(ended)
		for _, wait := range waits {
			wait()
		}
	}()
	names := []string{path}
	for i, over := 0, false; !over; i++ {
		select {
		case <-ended:
			over = true
		default:
		}
		switch paused := l.Pause(); i % 4 {
		case 0:
			l.Resume() // at once, complete or not
		case 1:
			waitFor(t, "the pause", paused)
			l.Resume()
		case 2:
			waitFor(t, "the pause", paused)
			l = successor(t, l)
		case 3:
			l.Resume()
			name := path + "." + strconv.Itoa(i)
			if err := os.Rename(path, name); err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
			if err := l.Reopen(); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.Close()
	var all strings.Builder
	for _, name := range append(names[1:], path) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	checkWhole(t, all.String(), workers)
}

// A reader of stdout that stands still holds up neither the pause nor the
// change, and finds every line when it goes on.
func TestSuccessorOfABlockedLog(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fill(t, int(w.Fd()))
	l, err := open("-", int(w.Fd()), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	const lines = 300
	fd := writeEnd(t, l)
	for i := range lines {
		send(fd, []byte(testLine(1, i, 700)))
	}
	send(fd, []byte("half "))
	for range 3 {
		waitFor(t, "the pause", l.Pause())
		l = successor(t, l)
	}
	send(fd, []byte("a line\n"))
	var got bytes.Buffer
	read := make(chan error)
	go func() {
		_, err := io.Copy(&got, r)
		read <- err
	}()
	waitFor(t, "the pause", l.Pause())
	l.Close() // also ends a pause
	w.Close()
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	text, half := strings.CutSuffix(strings.TrimLeft(got.String(), "\n"), "half a line\n")
	if !half {
		t.Errorf("the line in two halves is missing")
	}
	checkWhole(t, text, map[int]int{1: lines})
}

// A snapshot of a line that was written in part.
func TestSuccessorEndsTheLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := open(path, unix.Stdout, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the pause", l.Pause())
	line := testLine(1, 0, 100)
	if _, err := unix.Write(l.current.fd, []byte(line[:60])); err != nil {
		t.Fatal(err)
	}
	l.current.partial, l.held.lines = 60, []byte(line)
	next := successor(t, l)
	eventually(t, path, line)
	next.Close()
}
