//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate is a reader who reads when told to.
type gate struct {
	open    chan struct{} // closed: everything is read
	reached chan struct{} // closed when the first line has come
	once    sync.Once

	mu   sync.Mutex // guards text
	text strings.Builder
}

func newGate() *gate { return &gate{open: make(chan struct{}), reached: make(chan struct{})} }

func (g *gate) Write(b []byte) (int, error) {
	g.once.Do(func() { close(g.reached) })
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(b)
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

func lostLines(n int) string { return fmt.Sprintf("lost %d\n", n) }

func TestQueueOrder(t *testing.T) {
	first, second := newGate(), newGate()
	close(first.open)
	close(second.open)
	q := newQueue(lostLines)
	q.add("nowhere\n")
	q.redirect(first, nil)
	q.add("a\n")
	q.add("b\n")
	q.redirect(second, nil)
	q.add("c\n")
	q.close()
	if first.String() != "a\nb\n" || second.String() != "c\n" {
		t.Errorf("first %q, second %q", first, second)
	}
}

// TestQueueStuck: a reader who does not read costs the master lines, but
// neither time nor memory.
func TestQueueStuck(t *testing.T) {
	g := newGate()
	q := newQueue(lostLines)
	q.redirect(g, nil)
	q.add("first\n")
	<-g.reached
	line := strings.Repeat("x", 1023) + "\n"
	for range queueBytes/len(line) + 7 {
		q.add(line)
	}
	q.redirect(g, nil) // never refused
	close(g.open)
	q.close()
	want := "first\n" + strings.Repeat(line, queueBytes/len(line)) + "lost 7\n"
	if got := g.String(); got != want {
		t.Errorf("%d bytes ending in %.20q, not %d", len(got), got[max(0, len(got)-20):], len(want))
	}
}

// TestQueueLongLine: one line of any length is taken.
func TestQueueLongLine(t *testing.T) {
	g := newGate()
	close(g.open)
	q := newQueue(lostLines)
	q.redirect(g, nil)
	line := strings.Repeat("x", 2*queueBytes) + "\n"
	q.add(line)
	q.close()
	if g.String() != line {
		t.Errorf("%d bytes of %d", len(g.String()), len(line))
	}
}

// TestQueueCloseIsBounded: the end of the master does not wait for a reader who
// never reads.
func TestQueueCloseIsBounded(t *testing.T) {
	g := newGate()
	defer close(g.open)
	q := newQueue(lostLines)
	q.redirect(g, nil)
	q.add("first\n")
	start := time.Now()
	q.close()
	if took := time.Since(start); took < flushTime {
		t.Errorf("gave up after %v", took)
	}
}

// TestQueueClosesFiles: a file is closed when its last line is written.
func TestQueueClosesFiles(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	q := newQueue(lostLines)
	q.redirect(w, nil)
	q.add("line\n")
	q.redirect(io.Discard, w)
	defer q.close()
	got, err := io.ReadAll(r)
	if string(got) != "line\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
