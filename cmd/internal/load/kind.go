package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind is what became of a request.
type Kind int

// The kinds. All but Complete are losses.
const (
	Complete Kind = iota // the whole answer arrived, with a status below 400
	Dial                 // there was no connection
	Write                // the connection broke while the request was sent
	NoAnswer             // the connection ended before the first byte of an answer
	Cut                  // the connection ended in the middle of an answer
	Garbled              // what came is not an answer of HTTP
	Status               // the status is 400 or above
	Late                 // the time was over
)

func (k Kind) String() string {
	return [...]string{"complete", "no connection", "not sent", "no answer", "cut answer", "garbled answer", "bad status", "too late"}[k]
}

// String is the result in a line, and one more for each kind of loss.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d complete, %d lost, %d connections, %d workers, %.1fs", r.Complete, r.Losses(), r.Connections, len(r.Workers), r.Elapsed.Seconds())
	if r.Complete > 0 {
		fmt.Fprintf(&b, "; latency p50 %s, p99 %s, longest %s", short(r.Latency.Quantile(0.5)), short(r.Latency.Quantile(0.99)), short(r.Latency.Max()))
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Lost)) {
		fmt.Fprintf(&b, "\n  %s: %d (%v)", kind, r.Lost[kind], r.Errors[kind])
	}
	return b.String()
}

// short rounds a latency to three digits or so.
func short(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
