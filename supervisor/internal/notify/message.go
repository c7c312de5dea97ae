//go:build linux

package notify

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gosuper/gosuper/worker/protocol"
)

const (
	// maxStatus is how much of a status is kept, in bytes.
	maxStatus = 256
	// maxReason is the longest reason for a recycling.
	maxReason = 32
	// maxExtend bounds EXTEND_TIMEOUT_USEC, so that arithmetic with it cannot overflow.
	maxExtend = 24 * time.Hour
	// otherReason stands for a reason that is none: empty, too long, or not a name.
	otherReason = "worker"
)

// A Message is what one report says. The zero value says nothing.
type Message struct {
	Ready    bool // READY=1
	Stopping bool // STOPPING=1
	Watchdog bool // WATCHDOG=1
	Failing  bool // X_GOSUPER_FAILING=1
	Busy     bool // X_GOSUPER_BUSY=1
	Failed   bool // X_GOSUPER_FAILED=1
	// HasStatus says that Status was given; "STATUS=" clears it.
	HasStatus bool
	// Status is one line of printable UTF-8, at most 256 bytes.
	Status string
	// ExtendTimeout is how much longer than now the worker may take to start or to end; 0 means it was not asked for.
	// More than a day counts as a day.
	ExtendTimeout time.Duration
	// Recycle is why the worker wants to be replaced, [a-z0-9_]{1,32}; empty if it does not. Any other reason
	// given becomes "worker".
	Recycle string
}

// Parse reads the text of a report, see sd_notify(3) and package protocol. It never fails: what is not understood is
// ignored, and so is all of a report that has BARRIER=1 among other assignments. Of a key given twice the last
// value counts.
func Parse(text []byte) Message {
	m, barrier := parse(text)
	if barrier {
		return Message{}
	}
	return m
}

// parse is Parse that also reports BARRIER=1, and then what else there was.
func parse(text []byte) (m Message, barrier bool) {
	// C programs send the terminating NUL too.
	for line := range bytes.SplitSeq(bytes.TrimRight(text, "\x00"), []byte{'\n'}) {
		switch line := string(line); line {
		case protocol.NotifyReady:
			m.Ready = true
		case protocol.NotifyStopping:
			m.Stopping = true
		case protocol.NotifyWatchdog:
			m.Watchdog = true
		case protocol.NotifyFailing:
			m.Failing = true
		case protocol.NotifyBusy:
			m.Busy = true
		case protocol.NotifyFailed:
			m.Failed = true
		case protocol.NotifyBarrier:
			barrier = true
		default:
			m.assign(line)
		}
	}
	return m, barrier
}

func (m *Message) assign(line string) {
	if v, ok := strings.CutPrefix(line, protocol.NotifyStatus); ok {
		m.HasStatus, m.Status = true, Printable(v)
	} else if v, ok := strings.CutPrefix(line, protocol.NotifyExtendTimeout); ok {
		m.ExtendTimeout = Microseconds(v)
	} else if v, ok := strings.CutPrefix(line, protocol.NotifyRecycle); ok {
		m.Recycle = reason(v)
	}
}

// Printable replaces what a terminal or a log might act upon, and cuts at a whole character.
func Printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
	if len(s) <= maxStatus {
		return s
	}
	n := maxStatus
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Microseconds is the time of a number in decimal, a day at most; 0 for what is not a number.
func Microseconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil && n != math.MaxUint64 { // out of range is the largest number
		return 0
	}
	return time.Duration(min(n, uint64(maxExtend/time.Microsecond))) * time.Microsecond
}

func reason(s string) string {
	if s == "" || len(s) > maxReason {
		return otherReason
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return otherReason
		}
	}
	return s
}
