//go:build linux

package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// order is what the workers of gosuper top are sorted by.
type order struct {
	key     byte // that chooses it
	name    string
	compare func(a, b line) int
}

// orders are all there are; the first one is that of the start. What people look
// for is at the top: the busiest, the largest, the oldest.
var orders = []order{
	{'i', "id", func(a, b line) int { return cmp.Compare(a.ID, b.ID) }},
	{'s', "req/s", func(a, b line) int { return compareKnown(b.rate, a.rate) }},
	{'f', "in flight", func(a, b line) int { return compareKnown(b.InFlight, a.InFlight) }},
	{'c', "cpu", func(a, b line) int { return compareKnown(b.cpu, a.cpu) }},
	{'m', "memory", func(a, b line) int { return cmp.Compare(b.MemoryBytes, a.MemoryBytes) }},
	{'a', "age", func(a, b line) int { return cmp.Compare(b.AgeSeconds, a.AgeSeconds) }},
	{'r', "restarts", func(a, b line) int { return cmp.Compare(b.Restarts, a.Restarts) }},
}

// line is a worker on the screen.
type line struct {
	control.Worker
	figures
}

// figures are how much a worker does per second; nil: not known.
type figures struct {
	rate *float64 // requests finished
	cpu  *float64 // time on a processor, 1 for one that it had all the time
}

// compareKnown compares two figures; one that is not known is less than any other.
func compareKnown[T cmp.Ordered](a, b *T) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return cmp.Compare(*a, *b)
}

// view is what gosuper top shows.
type view struct {
	order   order
	status  control.Status
	figures map[int]figures // by worker
	loaders []*float64      // the time on a processor of each loader
	total   *float64
	at      time.Time         // of the status; zero: there is none yet
	hour    []string          // the last one in lines
	last    *control.Incident // nil: there was none
	trouble error             // why there is no newer one; nil: there is
}

// update takes what a master said at a time.
func (v *view) update(r reading, now time.Time) {
	st := r.status
	seconds := now.Sub(v.at).Seconds()
	another := v.status.PID != st.PID // its totals have nothing to do with those before
	if v.at.IsZero() || another {
		seconds = 0
	}
	before := map[int]control.Worker{}
	for _, w := range v.status.Workers {
		before[w.ID] = w
	}
	v.figures = map[int]figures{}
	for _, w := range st.Workers {
		v.figures[w.ID] = figures{
			perSecond(before[w.ID].Requests, w.Requests, seconds),
			perSecond(before[w.ID].CPUSeconds, w.CPUSeconds, seconds),
		}
	}
	v.loaders = nil
	for _, l := range st.Loaders {
		var had *float64
		if i := slices.IndexFunc(v.status.Loaders, func(old control.Loader) bool { return l.PID != nil && old.PID != nil && *old.PID == *l.PID }); i >= 0 {
			had = v.status.Loaders[i].CPUSeconds
		}
		v.loaders = append(v.loaders, perSecond(had, l.CPUSeconds, seconds))
	}
	v.total = perSecond(v.status.Counters.Requests, st.Counters.Requests, seconds)
	v.status, v.at, v.last, v.hour, v.trouble = st, now, nil, hourLines(r.history), nil
	if len(r.incidents) > 0 {
		v.last = &r.incidents[0]
	}
}

// perSecond is by how much a total grew in each of so many seconds; nil: it is not
// known. Where there is nothing to compare it with, it did not.
func perSecond[T uint64 | float64](before, after *T, seconds float64) *float64 {
	switch {
	case after == nil:
		return nil
	case seconds <= 0 || before == nil || *after < *before:
		return new(float64)
	}
	return new(float64(*after-*before) / seconds)
}

// sortBy sorts by what the key stands for, if it is one.
func (v *view) sortBy(key byte) {
	if i := slices.IndexFunc(orders, func(o order) bool { return o.key == key }); i >= 0 {
		v.order = orders[i]
	}
}

// folded is the height from which on there is room for a second line of what does not fit
// into one.
const folded = 16

// screen returns so many lines for a screen of that width and height. In each
// one is only what can be shown there; heads says which of them are heads of
// tables.
func (v *view) screen(width, height int, now time.Time) (lines []string, heads map[int]bool) {
	st := v.status
	var workers []line
	for _, w := range st.Workers {
		w.Status = oneLine(doing(w, st.Requests))
		workers = append(workers, line{w, v.figures[w.ID]})
	}
	slices.SortStableFunc(workers, v.order.compare)
	columns := workerColumns(st.Workers)
	const rateColumn, cpuColumn = 7, 9 // behind the requests, and behind those in flight
	t := table{columns: slices.Insert(slices.Insert(columns, rateColumn, column{"REQ/S", right}), cpuColumn, column{"CPU", right})}
	add := func(cells []string, f figures) {
		t.add(slices.Insert(slices.Insert(cells, rateColumn, rateText(f.rate)), cpuColumn, percent(f.cpu))...)
	}
	for i, l := range st.Loaders {
		add(loaderCells(l), figures{cpu: v.loaders[i]})
	}
	for _, w := range workers {
		add(workerCells(w.Worker), w.figures)
	}
	t.narrow(width, statusRoom, slices.DeleteFunc(slices.Clone(spareColumns), func(head string) bool { return strings.EqualFold(head, v.order.name) })...)
	whole := width
	if height < folded {
		whole = math.MaxInt
	}
	waiting := ""
	if st.Backlog > 0 {
		waiting = fmt.Sprintf("  %d in the backlog", st.Backlog)
	}
	counters := fmt.Sprintf("%s requests/s  %s in flight%s  %s", rateText(v.total), known(st.InFlight()), waiting, strings.TrimSpace(countersText(st.Counters)))
	lines = slices.Concat(fold(summary(st), whole), fold(counters, whole))
	lines = append(lines, v.notes(whole, height-len(lines)+2, now)...)
	heads = map[int]bool{len(lines): true}
	lines = append(lines, textLines(t.String())...)
	room := height - 1 // the last line is for the keys
	if len(lines) > room && room > 0 {
		hidden := len(lines) - room + 1
		lines = append(lines[:room-1], fmt.Sprintf("... and %d more", hidden))
	} else if left := room - len(lines) - 2; left > 0 && len(st.Requests) > 0 {
		lines = append(lines, "")
		heads[len(lines)] = true
		oldest := slices.SortedStableFunc(slices.Values(st.Requests), func(a, b control.Request) int { return cmp.Compare(b.AgeSeconds, a.AgeSeconds) })
		oldest = oldest[:min(left, len(oldest))]
		for i, r := range oldest {
			oldest[i].Method, oldest[i].Path, oldest[i].RequestID = oneLine(r.Method), oneLine(r.Path), oneLine(r.RequestID)
		}
		lines = append(lines, textLines(requestsText(oldest))...)
	}
	for len(lines) < room {
		lines = append(lines, "")
	}
	lines = append(lines[:max(room, 0)], v.keys())
	for i := range lines {
		lines[i] = cut(readable(oneLine(lines[i])), width)
	}
	return lines, heads
}

// notes are what is to be known before one looks at the workers, in one line at
// least. Of what a worker said last there is so much that they have room, too.
func (v *view) notes(width, height int, now time.Time) (lines []string) {
	if v.trouble != nil {
		return []string{fmt.Sprintf("no answer for %s: %v", age(now.Sub(v.at).Seconds()), v.trouble)}
	}
	if c := v.status.CrashLoop; c != nil {
		short, room := *c, max(height-len(v.status.Workers)-8, 1)
		short.LastLines = c.LastLines[max(len(c.LastLines)-room, 0):]
		lines = textLines(crashLoopText(&short))
	}
	if l := v.status.LoaderFailing; l != nil {
		short, room := *l, max(height-len(v.status.Workers)-9-len(lines), 1)
		short.LastLines = l.LastLines[max(len(l.LastLines)-room, 0):]
		lines = append(lines, textLines(loaderFailingText(&short))...)
	}
	texts := slices.Concat(silentLines(v.status.Requests), leasesLine(v.status.Leases))
	if v.last != nil {
		texts = append(texts, incidentLine(*v.last))
	}
	if v.status.Sizing != nil {
		texts = append(texts, v.status.Sizing.Why)
	}
	if v.status.Overlap != nil {
		texts = append(texts, v.status.Overlap.Why)
	}
	for _, text := range texts {
		lines = append(lines, fold(readable(oneLine(text)), width)...)
	}
	if room := height - len(v.status.Workers) - len(v.status.Loaders) - len(lines) - 6; room >= len(v.hour) {
		lines = append(lines, v.hour...)
	}
	if v.status.Unknown != "" || len(lines) == 0 {
		lines = append(lines, v.status.Unknown)
	}
	return lines
}

// percent is a share of one processor, "-" where it is not known.
func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return strconv.FormatFloat(100**share, 'f', 0, 64) + "%"
}

// rateText is a rate per second, "-" where it is not known.
func rateText(rate *float64) string {
	if rate == nil {
		return "-"
	}
	return strconv.FormatFloat(*rate, 'f', 1, 64)
}

// keys is the line that says what can be pressed.
func (v *view) keys() string {
	var b strings.Builder
	b.WriteString("q quit  sort:")
	for _, o := range orders {
		mark := ""
		if o.key == v.order.key {
			mark = "*"
		}
		fmt.Fprintf(&b, "  %c %s%s", o.key, o.name, mark)
	}
	return b.String()
}

// oneLine is text that cannot take up another line.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }

func textLines(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }

// fold is a line in two where it is too long, cut at the last blanks that it can be.
func fold(line string, width int) []string {
	letters := []rune(line)
	if len(letters) <= width {
		return []string{line}
	}
	first := string(letters[:max(width, 0)])
	at := strings.LastIndex(first, "  ")
	if at < len(first)/2 {
		at = strings.LastIndex(first, " ")
	}
	if at <= 0 {
		return []string{line}
	}
	return []string{line[:at], "  " + strings.TrimLeft(line[at:], " ")}
}

// cut is the beginning of a line, of at most so many letters.
func cut(text string, width int) string {
	if letters := []rune(text); len(letters) > width {
		return string(letters[:max(width, 0)])
	}
	return text
}
