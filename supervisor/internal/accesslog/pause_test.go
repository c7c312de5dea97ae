//go:build linux

package accesslog

import (
	"bytes"
	"encoding/json"
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
	text, _, err := state.Write(before, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	after := new(Log)
	if _, err := state.Read(text, after, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	again := func(fd int) int {
		if fd < 0 {
			return fd
		}
		fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	after.current.own = again(after.current.own)
	pipes := after.pipes
	after.pipes = map[int]*pipe{}
	for _, p := range pipes {
		p.fd = again(p.fd)
		after.pipes[p.fd] = p
	}
	// What the exec does to it.
	for _, p := range before.pipes {
		unix.Close(p.fd)
	}
	before.watcher.close()
	if before.current != nil {
		before.current.close()
	}
	if err := after.continueTo(before.stdout, before.report); err != nil {
		t.Fatal(err)
	}
	return after
}

func waitFor(t *testing.T, what string, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(testTimeout):
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
	for id := 1; id <= 2; id++ {
		workers[id] = lines
		waits = append(waits, startWorker(t, l, id, lines))
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
	fd := writeEnd(t, l, 1)
	for i := range lines {
		send(fd, []byte(testLine(1, i, 700)))
	}
	last := testLine(1, lines, 700)
	send(fd, []byte(last[:300]))
	for range 3 {
		waitFor(t, "the pause", l.Pause())
		l = successor(t, l)
	}
	send(fd, []byte(last[300:]))
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
	checkWhole(t, strings.TrimLeft(got.String(), "\n"), map[int]int{1: lines + 1})
}

// A line that was written in part.
func TestSuccessorEndsTheLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := open(path, unix.Stdout, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the pause", l.Pause())
	line := testLine(1, 0, 150)
	if _, err := unix.Write(l.current.fd, []byte(line[:60])); err != nil {
		t.Fatal(err)
	}
	l.current.partial, l.held = 60, []byte(line)
	next := successor(t, l)
	eventually(t, path, line)
	next.Close()
}

// A version in which all workers had one pipe has left what it read, and workers that
// write to that pipe in whatever format they were given.
func TestSuccessorOfOneSharedPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	r, w, err := makePipe(0)
	if err != nil {
		t.Fatal(err)
	}
	end, err := unix.FcntlInt(uintptr(w), unix.F_DUPFD_CLOEXEC, 0) // that of two workers
	if err != nil {
		t.Fatal(err)
	}
	file, err := unix.Open(path, unix.O_CREAT|unix.O_APPEND|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	one, two, three := testLine(1, 0, 150), testLine(2, 0, 150), testLine(1, 1, 150)
	text, err := json.Marshal(map[string]any{
		"path": path, "read_end": r, "write_end": w, "destination": file,
		"lines": []byte(one), "rest": []byte(two[:70]), "lost": 3, "partial": 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(file, []byte(one[:20])); err != nil {
		t.Fatal(err)
	}
	send(end, []byte(two[70:]+three+jsonLine+"\n"))
	var s Shared
	if _, err := state.Read(text, &s, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	l := s.Own()
	if err := l.Continue(func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	own := writeEnd(t, l, 3)
	want := one + two + three + jsonLine + "\n"
	eventually(t, path, want)
	waitFor(t, "the pause", l.Pause())
	l = successor(t, l)
	send(end, []byte(testLine(2, 1, 150)))
	want += testLine(2, 1, 150)
	eventually(t, path, want)
	send(own, []byte(testLine(3, 0, 150)))
	want += testLine(3, 0, 150)
	eventually(t, path, want)
	unix.Close(end)
	pipes := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.pipes)
	}
	if !comes(func() bool { return pipes() == 1 }) || l.Lost() != 3 {
		t.Errorf("%d pipes, %d lines lost", pipes(), l.Lost())
	}
	l.Close()
}

// The pipe of a worker that is gone, and one within a line that is too long, are so
// for a successor too.
func TestSuccessorKnowsThePipes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fill(t, int(w.Fd()))
	l, err := open("-", int(w.Fd()), nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two := writeEnd(t, l, 1), writeEnd(t, l, 2)
	send(one, []byte(testLine(1, 0, 150)))
	waitFor(t, "the pause", l.Pause())
	l.Retire(1)
	for _, p := range l.pipes {
		p.overlong = p.worker == 2
	}
	l = successor(t, l)
	go func() { _, _ = io.Copy(io.Discard, r) }()
	closed := func() bool {
		_, err := unix.Write(one, []byte("\n"))
		return err == unix.EPIPE
	}
	if !comes(closed) {
		t.Error("the pipe of a worker that is gone is still there")
	}
	path := filepath.Join(t.TempDir(), "access.log")
	if err := l.Move(path); err != nil {
		t.Fatal(err)
	}
	send(two, []byte(testLine(2, 0, 150)+testLine(2, 1, 150))) // the first ends the line that is too long
	eventually(t, path, testLine(2, 1, 150))
	l.Close()
	w.Close()
}
