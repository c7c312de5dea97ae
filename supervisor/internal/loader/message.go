//go:build linux

package loader

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/worker/protocol"
)

// maxReason is how much is kept of why there is no worker, in bytes and in lines.
const (
	maxReason = 4 << 10
	maxLines  = 20
)

// A Message is what one report says. The zero value says nothing.
type Message struct {
	Ready bool // READY=1
	// HasStatus says that Status was given, which is one line of printable UTF-8.
	HasStatus bool
	Status    string
	// ExtendTimeout is how much longer than now the start may take, a day at most; 0: it
	// was not asked for.
	ExtendTimeout time.Duration
	// Spawned and Failed are the number of the request that is answered; 0: none is.
	Spawned, Failed int
	// Reason is why a request failed, in lines of printable UTF-8.
	Reason []string
	// Sender is the process that sent it, and PID the one that is meant by Spawned.
	Sender, PID int
	// Wrong says what is wrong with it; "": it can be understood.
	Wrong string
	// Ended is no message: nobody can say anything any more.
	Ended bool
}

// Parse reads the text of a report. What it does not know it ignores, as sd_notify(3)
// does; an error means that nothing of it counts.
func Parse(text []byte) (m Message, err error) {
	if text == nil {
		return m, fmt.Errorf("a message is longer than %d bytes", protocol.MaxLoader)
	}
	// C programs send the terminating NUL too.
	first, rest, _ := strings.Cut(string(bytes.TrimRight(text, "\x00")), "\n")
	if seq, ok := strings.CutPrefix(first, protocol.LoaderFailed); ok {
		m.Failed, err = number(seq)
		m.Reason = lines(rest)
		return m, err
	}
	if seq, ok := strings.CutPrefix(first, protocol.LoaderSpawned); ok {
		return spawned(seq, strings.TrimRight(rest, "\n"))
	}
	said := notify.Parse(text)
	m = Message{Ready: said.Ready, HasStatus: said.HasStatus, Status: said.Status, ExtendTimeout: said.ExtendTimeout}
	if !m.Ready && !m.HasStatus && m.ExtendTimeout == 0 {
		return Message{}, errors.New("a message says nothing that a loader can say: " + strconv.Quote(notify.Printable(first)))
	}
	return m, nil
}

// spawned reads what comes behind SPAWNED=.
func spawned(seq, rest string) (m Message, err error) {
	if m.Spawned, err = number(seq); err != nil || rest == "" {
		return m, err
	}
	pid, ok := strings.CutPrefix(rest, protocol.LoaderPID)
	if !ok {
		return Message{}, errors.New("behind " + protocol.LoaderSpawned + " comes something else than " + protocol.LoaderPID)
	}
	m.PID, err = number(pid)
	return m, err
}

// number reads one that is above 0.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return 0, errors.New("a message has something else for a number: " + strconv.Quote(notify.Printable(text)))
	}
	return int(n), nil
}

// lines are the last ones of a text, fit for a log.
func lines(text string) (all []string) {
	if len(text) > maxReason {
		text = text[len(text)-maxReason:]
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n\x00"), "\n") {
		if line = notify.Printable(line); line != "" {
			all = append(all, line)
		}
	}
	return all[max(len(all)-maxLines, 0):]
}
