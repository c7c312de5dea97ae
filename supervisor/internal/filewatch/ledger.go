package filewatch

import "time"

// How many builds in a row have to write a file before it counts as theirs: one
// that nobody changed so far, and one that somebody did change between builds,
// and who may do so again during several.
const (
	suspicious = 2
	doubtful   = 4
)

// EventDelay is for how long after its end what changes is still taken for the
// build's work: news of its last writes may take that long.
const EventDelay = 150 * time.Millisecond

// Ledger keeps apart what builds write and what a developer does. The zero value
// is ready for use; it belongs to one goroutine.
type Ledger struct {
	since, until time.Time // of the build that runs or ran last; until is zero while it runs
	builds       int       // that began
	files        map[string]*file
}

// file is what is known of one.
type file struct {
	output bool // builds write it
	source bool // it changed between builds
	build  int  // in which it was last written
	row    int  // how many builds in a row wrote it
}

// of returns what is known of a file.
func (l *Ledger) of(path string) *file {
	f := l.files[path]
	if f == nil {
		if l.files == nil {
			l.files = map[string]*file{}
		}
		f = new(file)
		l.files[path] = f
	}
	return f
}

// Expect says that builds write a file, so that nothing has to be learned about
// it.
func (l *Ledger) Expect(output string) { l.of(output).output = true }

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
	for _, c := range batch {
		switch f := l.of(c.Path); {
		case !l.during(c.At):
			f.source = true
			v.Changed, v.Sure = c.Path, true
		case f.output:
		case c.New || f.writtenIn(l.builds):
			f.output = true
			v.Output = c.Path
		default:
			v.Changed = c.Path
			v.Sure = v.Sure || f.source
		}
	}
	return v
}

// writtenIn notes that the file was written during a build, and says whether that
// makes enough of them in a row.
func (f *file) writtenIn(build int) bool {
	switch build - f.build {
	case 0: // several batches of one build
	case 1:
		f.row++
	default:
		f.row = 1
	}
	f.build = build
	if f.source {
		return f.row >= doubtful
	}
	return f.row >= suspicious
}

// during says whether a build ran at that time, or had just ended.
func (l *Ledger) during(at time.Time) bool {
	return l.builds > 0 && !at.Before(l.since) && (l.until.IsZero() || at.Before(l.until.Add(EventDelay)))
}
