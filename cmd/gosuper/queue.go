//go:build linux

package main

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// queueBytes bounds the log lines that wait for a slow reader. What comes on
// top is dropped and counted.
const queueBytes = 1 << 20

// queue writes log lines in a goroutine of its own. None of its methods waits
// for the reader, but for close.
type queue struct {
	lost func(lines int) string // makes the line that says how many are missing
	wake chan struct{}          // holds one token while items may wait
	done chan struct{}

	mu      sync.Mutex // guards what follows
	items   []item
	size    int // bytes in the lines of items
	under   int // lines that take handed out and that are not written yet
	dropped int
	closed  bool
}

// item is a line, or where to write from now on.
type item struct {
	line    string
	to      io.Writer
	close   *os.File
	reached chan struct{} // closed when everything before is written; nil: nobody waits
}

func newQueue(lost func(lines int) string) *queue {
	q := &queue{lost: lost, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// add queues a line, or drops it if too much waits.
func (q *queue) add(line string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size+len(line) > queueBytes && q.size > 0 {
		q.dropped++
		return
	}
	q.push(item{line: line})
}

// redirect has all later lines written to another place; the file before it,
// if any, is closed once the earlier lines are written.
func (q *queue) redirect(to io.Writer, before *os.File) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(item{to: to, close: before})
}

// push appends an item. The caller holds mu.
func (q *queue) push(i item) {
	q.items = append(q.items, i)
	q.size += len(i.line)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run is the goroutine.
func (q *queue) run() {
	defer close(q.done)
	to := io.Discard
	for range q.wake {
		items, dropped, closed := q.take()
		for _, i := range items {
			if i.reached != nil {
				close(i.reached)
				continue
			}
			if i.to == nil {
				// There is nobody to tell about a log that cannot be written.
				io.WriteString(to, i.line)
				q.wrote()
				continue
			}
			to = i.to
			if i.close != nil {
				i.close.Close()
			}
		}
		if dropped > 0 {
			io.WriteString(to, q.lost(dropped))
		}
		if closed {
			return
		}
	}
}

// take empties the queue.
func (q *queue) take() (items []item, dropped int, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, dropped = q.items, q.dropped
	for _, i := range items {
		if i.line != "" {
			q.under++
		}
	}
	q.items, q.size, q.dropped = nil, 0, 0
	return items, dropped, q.closed
}

// wrote notes that one of the lines is written.
func (q *queue) wrote() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.under = max(q.under-1, 0) // one without bytes was not counted
}

// waiting is how many lines are not written yet, and will not be.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.under + q.dropped
	for _, i := range q.items {
		if i.line != "" {
			n++
		}
	}
	return n
}

// flush returns when all that was added before is written; an error says that it
// takes too long.
func (q *queue) flush() error {
	reached := make(chan struct{})
	q.mu.Lock()
	q.push(item{reached: reached})
	q.mu.Unlock()
	select {
	case <-reached:
		return nil
	case <-time.After(flushTime):
		return errors.New("whoever reads the log is too slow")
	}
}

// close has written what is queued, as far as the reader takes it in time.
// Nothing may be added any more.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.push(item{})
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(flushTime):
	}
}
