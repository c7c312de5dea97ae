//go:build linux

package accesslog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLinesOfManyWorkersAreWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l := openLog(t, path)
	const lines = 500
	workers, waits := map[int]int{}, []func(){}
	for id := 1; id <= 4; id++ {
		workers[id] = lines
		waits = append(waits, startWorker(t, l, id, lines))
	}
	// The file is rotated all the time.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, wait := range waits {
			wait()
		}
	}()
	rotated := []string{}
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		case <-time.After(time.Millisecond):
		}
		name := path + "." + strconv.Itoa(len(rotated))
		if err := os.Rename(path, name); err != nil {
			t.Fatal(err)
		}
		rotated = append(rotated, name)
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	var all strings.Builder
	for _, name := range append(rotated, path) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 0 && text[len(text)-1] != '\n' {
			t.Errorf("%s ends within a line", name)
		}
		all.Write(text)
	}
	checkWhole(t, all.String(), workers)
	if l.Lost() != 0 {
		t.Errorf("%d lines were lost", l.Lost())
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l := openLog(t, path)
	w := writeEnd(t, l, 1)
	line := func(i int) string { return testLine(1, i, 150) }
	send(w, []byte(line(1)))
	eventually(t, path, line(1))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	send(w, []byte(line(2)))
	eventually(t, path+".1", line(1)+line(2))
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	send(w, []byte(line(3)))
	eventually(t, path, line(3))

	// A file that cannot be opened leaves everything as it was.
	if err := l.Move(filepath.Join(path, "x")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("got %v", err)
	}
	send(w, []byte(line(4)))
	eventually(t, path, line(3)+line(4))
	l.Close()
	l.Close()
	if err := l.Move(path); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
	eventually(t, path+".1", line(1)+line(2))
}

// A destination that takes nothing stops neither a worker nor the master, and
// where there is another one instead, nothing is lost but what workers dropped.
func TestBlockedDestination(t *testing.T) {
	t.Parallel()
	l := blockedLog(t, func(err error) { t.Error(err) })
	w := writeEnd(t, l, 1)
	var want strings.Builder
	for i := 0; ; i++ {
		line := testLine(1, i, 500)
		if _, err := unix.Write(w, []byte(line)); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		want.WriteString(line)
	}
	if want.Len() < chunkSize {
		t.Errorf("only %d bytes fit in", want.Len())
	}
	if err := l.Reopen(); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "access.log")
	for range 2 {
		if err := l.Move(path); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, path, want.String())
}

func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	reports := make(chan error, 10)
	l := blockedLog(t, func(err error) { reports <- err })
	w := writeEnd(t, l, 1)
	for i := range 1000 {
		send(w, []byte(testLine(1, i, 500)))
	}
	start := time.Now()
	l.Close()
	if took := time.Since(start); took < closeTime {
		t.Errorf("the reader got only %s", took)
	}
	select { // Close waits for it only so long
	case <-l.done:
	case <-time.After(time.Minute):
		t.Fatal("the goroutine does not end")
	}
	if l.Lost() != 1000 {
		t.Errorf("%d lines of 1000 were lost", l.Lost())
	}
	if len(reports) != 1 {
		t.Errorf("%d reports", len(reports))
	}
}

func TestCloseWritesWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l := openLog(t, path)
	w := writeEnd(t, l, 1)
	var want strings.Builder
	for i := range 1000 {
		line := testLine(1, i, 400)
		want.WriteString(line)
		send(w, []byte(line))
	}
	last := testLine(1, 1000, 400)
	want.WriteString(last)
	send(w, []byte(last[:len(last)-1])) // it lacks the newline
	l.Close()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want.String() {
		t.Errorf("%d bytes, not %d: %v", len(got), want.Len(), err)
	}
	if _, err := unix.Write(w, []byte("x")); err != unix.EPIPE {
		t.Errorf("writing gives %v", err)
	}
}

func TestFailingDestination(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	reports := make(chan error, 10)
	l, err := open("/dev/full", unix.Stdout, func(err error) { reports <- err })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := writeEnd(t, l, 1)
	for range 5 {
		send(w, []byte(testLine(1, 0, 150)+testLine(1, 1, 150)))
	}
	if err := <-reports; !errors.Is(err, unix.ENOSPC) {
		t.Errorf("reported %v", err)
	}
	if !comes(func() bool { return l.Lost() == 10 }) || len(reports) != 0 {
		t.Errorf("%d lines were lost, %d more reports", l.Lost(), len(reports))
	}
	path := filepath.Join(t.TempDir(), "access.log")
	if err := l.Move(path); err != nil {
		t.Fatal(err)
	}
	send(w, []byte(testLine(1, 2, 150)))
	eventually(t, path, testLine(1, 2, 150))
}

// Workers have the stdout of the master, so others write there too.
func TestStdoutIsShared(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, err := open("-", int(w.Fd()), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	const lines = 1000
	var got bytes.Buffer
	read := make(chan error)
	go func() {
		_, err := io.Copy(&got, bufio.NewReaderSize(r, 1<<16))
		read <- err
	}()
	other := make(chan struct{})
	go func() {
		defer close(other)
		for i := range lines {
			io.WriteString(w, testLine(2, i, 300))
		}
	}()
	end := writeEnd(t, l, 1)
	for i := range lines {
		send(end, []byte(testLine(1, i, 700)))
	}
	<-other
	l.Close()
	w.Close()
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	checkWhole(t, got.String(), map[int]int{1: lines, 2: lines})
}

// BenchmarkCopy is the master's work for one line of 200 bytes, from so many workers
// that the rate of none of them is reached.
func BenchmarkCopy(b *testing.B) {
	l, err := open(filepath.Join(b.TempDir(), "access.log"), unix.Stdout, nil)
	if err != nil {
		b.Fatal(err)
	}
	const workers = 32
	var fds []int
	var lines []string
	for id := 1; id <= workers; id++ {
		fd, err := l.Open(id, "combined")
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(fd)
		fds, lines = append(fds, fd), append(lines, testLine(id, 0, 200))
	}
	b.ResetTimer()
	for i := range b.N {
		send(fds[i%workers], []byte(lines[i%workers]))
	}
	l.Close()
}
