package filewatch

import "time"

// How many builds in a row have to write a file before it counts as theirs: one
// that nobody changed so far, and one that somebody did change between builds,
// and who may do so again during several.
const (
	suspicious = 2
	doubtful   = 4
)

// Settle is for how long after its end what changes is still taken for the
// build's work: news of its last writes may take that long.
const Settle = 150 * time.Millisecond

// Ledger keeps apart what builds write and what a developer does. The zero value
// is ready for use; it belongs to one goroutine.
type Ledger struct {
	since, until time.Time        // of the build that runs or ran last; until is zero while it runs
	outputs      map[string]bool  // what builds write
	sources      map[string]bool  // what changed between builds
	builds       int              // that began
	written      map[string]count // by builds in a row
}

// count says in which build a file was last written, and in how many in a row.
type count struct{ build, row int }

// Expect says that builds write a file, so that nothing has to be learned about
// it.
func (l *Ledger) Expect(output string) {
	l.prepare()
	l.outputs[output] = true
}

func (l *Ledger) prepare() {
	if l.outputs == nil {
		l.outputs, l.sources, l.written = map[string]bool{}, map[string]bool{}, map[string]count{}
	}
}

// Begin notes that a build begins.
func (l *Ledger) Begin(now time.Time) {
	l.since, l.until = now, time.Time{}
	l.builds++
}

// End notes that the build has ended.
func (l *Ledger) End(now time.Time) { l.until = now }

// Verdict is what a batch of changes means.
type Verdict struct {
	Changed string // a file that somebody changed; "": nobody did
	Sure    bool   // a known source changed: a build that runs now is out of date
	Output  string // a file that from now on counts as written by builds; "": none
}

// Judge says what changes mean. A file that is new during a build is the
// build's. One that was there and changes during builds is taken for a source at
// first, so that no change is lost, until enough builds in a row wrote it.
func (l *Ledger) Judge(batch []Change) (v Verdict) {
	l.prepare()
	for _, c := range batch {
		if !l.during(c.At) {
			l.sources[c.Path] = true
			v.Changed, v.Sure = c.Path, true
			continue
		}
		if l.outputs[c.Path] {
			continue
		}
		n := l.written[c.Path]
		switch {
		case n.build == l.builds: // several batches of one build
		case n.build == l.builds-1:
			n.row++
		default:
			n.row = 1
		}
		n.build = l.builds
		l.written[c.Path] = n
		least := suspicious
		if l.sources[c.Path] {
			least = doubtful
		}
		switch {
		case c.New || n.row >= least:
			l.outputs[c.Path] = true
			v.Output = c.Path
		default:
			v.Changed = c.Path
			v.Sure = v.Sure || l.sources[c.Path]
		}
	}
	return v
}

// during says whether a build ran at that time, or had just ended.
func (l *Ledger) during(at time.Time) bool {
	return l.builds > 0 && !at.Before(l.since) && (l.until.IsZero() || at.Before(l.until.Add(Settle)))
}
