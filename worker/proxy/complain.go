//go:build linux

package proxy

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// complain says something on stderr, in one line and in one piece.
func complain(format string, args ...any) {
	os.Stderr.WriteString("gosuper: proxy: " + fmt.Sprintf(format, args...) + "\n")
}

const (
	// complaintPause is the time between two complaints of the same kind: a program that
	// fails all requests would have all of them in the log.
	complaintPause = time.Second
	// complaintSize is the length of one in bytes.
	complaintSize = 512
)

// complaints are of one kind.
type complaints struct {
	mu   sync.Mutex // guards what follows
	next time.Time  // may be said
	kept int        // were not
}

// say complains, unless that was done just now.
func (c *complaints) say(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.next) {
		c.kept++
		return
	}
	text = text[:min(len(text), complaintSize)]
	if c.kept > 0 {
		text += fmt.Sprintf(" (and %d others before it)", c.kept)
	}
	c.next, c.kept = now.Add(complaintPause), 0
	complain("%s", text)
}
