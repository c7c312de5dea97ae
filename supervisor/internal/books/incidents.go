package books

import (
	"slices"
	"time"
)

// How much is kept: so many incidents, and of each so many bytes of last lines.
const (
	MaxIncidents = 64
	MaxText      = 4 << 10
)

// Incident is the end of one worker that nobody asked for, or that had to be forced.
type Incident struct {
	Worker     int       `json:"worker"` // its id, which is never used twice
	Slot       int       `json:"slot"`
	PID        int       `json:"pid"`
	Generation int       `json:"generation"`
	At         time.Time `json:"at"` // zero: before incidents were dated
	// Reason is why it went, a word as in the log: "crash", "startup", "timeout",
	// or what the worker itself gave as one.
	Reason string `json:"reason"`
	// Status is how it ended: "exit status 1", "killed by SIGKILL".
	Status string        `json:"status"`
	Age    time.Duration `json:"age"`
	// Lost is how many requests it took along; nil: nobody knows.
	Lost *uint64 `json:"lost,omitempty"`
	// Lines are the last that it wrote, oldest first.
	Lines []string `json:"lines,omitempty"`
}

// Incidents are the last ones, oldest first. The zero value has none. It belongs to
// one goroutine.
type Incidents struct {
	All []Incident `json:"all,omitempty"`
}

// Add enters an incident, and forgets the oldest of too many.
func (i *Incidents) Add(one Incident) {
	one.Lines = newest(one.Lines, MaxText)
	if len(i.All) >= MaxIncidents {
		i.All = slices.Delete(i.All, 0, len(i.All)-MaxIncidents+1)
	}
	i.All = append(i.All, one)
}

// Of returns the incident of a worker; false: there was none, or it is forgotten.
func (i *Incidents) Of(worker int) (Incident, bool) {
	return i.Last(func(one Incident) bool { return one.Worker == worker })
}

// Last returns the newest incident that is as wanted.
func (i *Incidents) Last(is func(Incident) bool) (Incident, bool) {
	for _, one := range slices.Backward(i.All) {
		if is(one) {
			return one, true
		}
	}
	return Incident{}, false
}

// newest are the last lines that have so many bytes together, the first of them cut
// if need be.
func newest(lines []string, room int) []string {
	for at, line := range slices.Backward(lines) {
		if room -= len(line) + 1; room < 0 {
			kept := slices.Clone(lines[at:])
			if kept[0] = "..." + tail(line, len(line)+room); kept[0] == "..." {
				kept = kept[1:]
			}
			return kept
		}
	}
	return lines
}

// tail is the end of a text, of at most so many bytes and in whole letters.
func tail(text string, size int) string {
	for at := range text {
		if len(text)-at <= size {
			return text[at:]
		}
	}
	return ""
}
