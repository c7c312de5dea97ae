//go:build linux

package incidents

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// Held are the requests that a worker had when it died.
type Held struct {
	// Known says that the worker reported its requests at all.
	Known bool `json:"known,omitempty"`
	// Requests are those of which it is known which they were, the oldest first.
	Requests []Request `json:"requests,omitempty"`
	// More is how many there were beside them.
	More int `json:"more,omitempty"`
}

// Request is one that a worker held when it died. Its texts are printable ASCII.
type Request struct {
	Method string        `json:"method"`
	Path   string        `json:"path"` // without the query
	ID     string        `json:"id,omitempty"`
	Age    time.Duration `json:"age"`
	Idle   time.Duration `json:"idle"` // since its last progress
	Sent   Sent          `json:"sent"`
}

// Sent is how much of a response its client has got.
type Sent string

// What may have been sent.
const (
	Nothing  Sent = "nothing"
	Begun    Sent = "begun"    // a part of the response
	Upgraded Sent = "upgraded" // and the connection speaks another protocol since
	Ended    Sent = "ended"    // it was answered or cut at its deadline, and its handler went on
)

// HeldOf reads the requests that a dead worker of that age held from its board, where
// anything may be written.
func HeldOf(board scoreboard.View, age time.Duration) Held {
	now := scoreboard.Monotonic()
	since := func(then int64) time.Duration {
		return min(max(time.Duration(now-then), 0), age).Round(time.Millisecond)
	}
	h := Held{Known: true}
	for _, r := range board.Requests() {
		h.Requests = append(h.Requests, Request{
			Method: r.Method, Path: r.Path, ID: r.ID, Age: since(r.Start), Idle: since(r.Progress), Sent: sent(r.Flags),
		})
	}
	slices.SortStableFunc(h.Requests, func(a, b Request) int { return cmp.Compare(b.Age, a.Age) })
	return h
}

func sent(f scoreboard.Flags) Sent {
	switch {
	case f&scoreboard.Ended != 0:
		return Ended
	case f&scoreboard.Upgraded != 0:
		return Upgraded
	case f&scoreboard.Streaming != 0:
		return Begun
	}
	return Nothing
}

// Of is what is held when so many requests were lost in all: those that found no room on
// the board are only counted.
func (h Held) Of(lost *uint64) Held {
	if lost == nil {
		return h
	}
	named := uint64(0)
	for _, r := range h.Requests {
		if r.Sent != Ended {
			named++
		}
	}
	if *lost > named {
		h.More += int(min(*lost-named, maxMore))
	}
	return h
}

// maxMore bounds what a board can have a master believe of requests that it does not name.
const maxMore = 1 << 30

// logged is how many requests the line about a death names.
const logged = 8

// Fields are the requests for the line of the log about the death.
func (h Held) Fields() (fields []zap.Field) {
	if len(h.Requests) == 0 {
		return nil
	}
	few := h.Requests[:min(len(h.Requests), logged)]
	names := make([]string, len(few))
	for i, r := range few {
		names[i] = r.String()
	}
	fields = append(fields, zap.Strings("held", names))
	if more := h.More + len(h.Requests) - len(few); more > 0 {
		fields = append(fields, zap.Int("held_more", more))
	}
	return fields
}

// String is the request in a line: "POST /agent (abc) for 1.2s, response begun".
func (r Request) String() string {
	text := fmt.Sprintf("%s %s", r.Method, r.Path)
	if r.ID != "" {
		text += " (" + r.ID + ")"
	}
	text += " for " + r.Age.String()
	switch r.Sent {
	case Begun:
		text += ", response begun"
	case Upgraded:
		text += ", upgraded"
	case Ended:
		text += ", ended at its deadline"
	}
	return text
}

// few cuts the list to as many as the log names, and counts the rest.
func (h Held) few() Held {
	if more := len(h.Requests) - logged; more > 0 {
		h.Requests, h.More = slices.Clone(h.Requests[:logged]), h.More+more
	}
	return h
}
