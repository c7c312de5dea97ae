//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// testTimeout is how long anything is waited for that has to come.
const testTimeout = time.Minute

// event is one line of the master's log.
type event struct {
	at     time.Time
	msg    string
	fields map[string]any
	line   string
}

func (e event) str(key string) string { return fmt.Sprint(e.fields[key]) }

func (e event) num(key string) int {
	n, _ := strconv.Atoi(e.str(key))
	return n
}

// match names fields of an event and their values.
type match map[string]any

func (m match) fits(e event) bool {
	for key, want := range m {
		if e.str(key) != fmt.Sprint(want) {
			return false
		}
	}
	return true
}

// transcript is what a master wrote to its stderr so far: events, and whatever
// else, which comes from the workers.
type transcript struct {
	mu     sync.Mutex // guards what follows
	events []event
	text   bytes.Buffer // all of it
	ended  bool
	news   chan struct{} // closed when there is more
	whole  chan struct{} // closed when all is there of a master that is gone
}

func newTranscript() *transcript {
	return &transcript{news: make(chan struct{}), whole: make(chan struct{})}
}

// lastLine is written by the test behind all that a master has written which is gone.
const lastLine = "the master is gone\x00\n"

// read takes the stderr to its end.
func (l *transcript) read(from io.Reader) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		line, last := bytes.CutSuffix(line, []byte(lastLine))
		l.mu.Lock()
		l.text.Write(line)
		if e, ok := parseEvent(line); ok {
			l.events = append(l.events, e)
		}
		l.ended = err != nil
		close(l.news)
		l.news = make(chan struct{})
		l.mu.Unlock()
		if last {
			close(l.whole)
		}
		if err != nil {
			return
		}
	}
}

// parseEvent finds the event in a line; a worker that did not end its own line
// may stand before it.
func parseEvent(line []byte) (e event, ok bool) {
	i := bytes.Index(line, []byte(`{"level":`))
	if i < 0 {
		return e, false
	}
	d := json.NewDecoder(bytes.NewReader(line[i:]))
	d.UseNumber()
	if err := d.Decode(&e.fields); err != nil {
		return e, false
	}
	e.at, _ = time.Parse(time.RFC3339Nano, e.str("time"))
	e.msg = e.str("msg")
	e.line = string(line)
	return e, true
}

// mark is the present end of the log.
func (l *transcript) mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}

// all returns the events with the message since the mark.
func (l *transcript) all(since int, msg string, m match) []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []event
	for _, e := range l.events[since:] {
		if e.msg == msg && m.fits(e) {
			found = append(found, e)
		}
	}
	return found
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until the condition holds for what was written.
func (l *transcript) await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	timeout := time.NewTimer(testTimeout)
	defer timeout.Stop()
	for {
		l.mu.Lock()
		news, ended := l.news, l.ended
		l.mu.Unlock()
		if holds() {
			return
		}
		if ended {
			t.Fatalf("the master ended before: %s", what)
		}
		select {
		case <-news:
		case <-timeout.C:
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// count waits until there are n such events since the mark and returns them.
func (l *transcript) count(t testing.TB, n, since int, msg string, m match) []event {
	t.Helper()
	var found []event
	l.await(t, fmt.Sprintf("%d x %q %v", n, msg, m), func() bool {
		found = l.all(since, msg, m)
		return len(found) >= n
	})
	return found
}

// wait waits for such an event since the mark.
func (l *transcript) wait(t testing.TB, since int, msg string, m match) event {
	t.Helper()
	return l.count(t, 1, since, msg, m)[0]
}

// contains waits until the text was written.
func (l *transcript) contains(t testing.TB, text string) {
	t.Helper()
	timeout := time.After(testTimeout)
	for {
		l.mu.Lock()
		found, ended, news := bytes.Contains(l.text.Bytes(), []byte(text)), l.ended, l.news
		l.mu.Unlock()
		if found {
			return
		}
		if ended {
			t.Fatalf("the master did not write %q", text)
		}
		select {
		case <-news:
		case <-timeout:
			t.Fatalf("waited in vain for %q", text)
		}
	}
}

// allEvents returns a copy of all events.
func (l *transcript) allEvents() []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}
