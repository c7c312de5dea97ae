//go:build linux

// Package output is what one process writes, on its way through the master: to where
// the output of all goes, while the last lines are remembered.
//
// A process never gets a descriptor of the master, with which it could empty the
// master's log or change how it is written to: it writes to pipes. Where both streams go
// to the same place one pipe is both of them, as it is for a program behind 2>&1: what
// it writes stays in order. Lines that are to say which stream they come from need two.
package output

import (
	"io"
	"slices"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// Destination is where output goes.
type Destination interface {
	// Worker returns what a stream of the worker with that id is written to; 0: it is
	// no worker's.
	Worker(id int, stream process.Stream) io.Writer
	// Joined reports that both streams go to the same place.
	Joined() bool
}

// Output is that of one process. What does not exist is nil; the zero value has none.
type Output struct {
	tail   *process.Tail `state:"tail"`   // its stderr, or all output; it remembers for both
	stdout *process.Tail `state:"stdout"` // nil: tail is that, too
	held   *process.Held `state:"-"`      // before where tail goes; nil: nothing is
	asked  uint64        `state:"-"`      // where its stacks begin; 0: it was not asked for them
}

// Options say how output is opened.
type Options struct {
	To    Destination
	ID    int                 // of the worker; 0: it is none
	Apart bool                // lines say which stream they come from
	Owner *process.Credential // of the process; nil: that of the master
	// Held keeps the lines of stderr back, for AtMost, so that what another process has
	// said already is not said again: see [process.Held].
	Held   bool
	AtMost time.Duration
}

// Open makes the pipes that the process writes to.
func (o *Output) Open(how Options) (err error) {
	stream := process.Stderr
	if how.To.Joined() && !how.Apart {
		stream = process.Both
	}
	dst := how.To.Worker(how.ID, stream)
	if how.Held {
		o.held = process.Hold(dst, how.AtMost)
		dst = o.held
	}
	if o.tail, err = process.NewTail(stream, dst); err != nil {
		return err
	}
	if stream != process.Both {
		if o.stdout, err = o.tail.Beside(process.Stdout, how.To.Worker(how.ID, process.Stdout)); err != nil {
			return err
		}
	}
	for _, t := range o.Tails() {
		if err := t.Own(how.Owner); err != nil {
			return err
		}
	}
	return nil
}

// FDs are the descriptors of the process's stdout and stderr.
func (o *Output) FDs() (stdout, stderr int) {
	stdout, stderr = o.tail.WriteEnd(), o.tail.WriteEnd()
	if o.stdout != nil {
		stdout = o.stdout.WriteEnd()
	}
	return stdout, stderr
}

// CloseWriteEnds closes the copies here of what the process writes to.
func (o *Output) CloseWriteEnds() {
	for _, t := range o.Tails() {
		t.CloseWriteEnd()
	}
}

// Tails are the pipes, as far as they exist.
func (o *Output) Tails() []*process.Tail {
	return slices.DeleteFunc([]*process.Tail{o.tail, o.stdout}, func(t *process.Tail) bool { return t == nil })
}

// Held is what is held back; nil, which can be asked all the same: nothing is.
func (o *Output) Held() *process.Held { return o.held }

// PassedOn returns what waits until all that was written is passed on, and says whether it
// is. Any goroutine may call that, also when the output is closed.
func (o *Output) PassedOn() func(atMost time.Duration) bool {
	if o.tail == nil {
		return func(time.Duration) bool { return true }
	}
	return o.tail.Drain
}

// lastLines is how many of the last lines of a process explain its end.
const lastLines = 20

// LastLines are the last that the process wrote.
func (o *Output) LastLines() []string {
	if o.tail == nil {
		return nil
	}
	return o.tail.Lines(lastLines)
}

// ExpectStacks has what the process writes from now on be its stacks. It returns the last
// lines before.
func (o *Output) ExpectStacks() []string {
	if o.tail == nil {
		return nil
	}
	lines := o.tail.Lines(lastLines)
	o.asked = o.tail.Mark()
	return lines
}

// maxStacks bounds the lines of stacks that are told.
const maxStacks = 1000

// Stacks are the lines that the process wrote when it was asked for its stacks; nil: it was
// not.
func (o *Output) Stacks() []string {
	if o.tail == nil || o.asked == 0 {
		return nil
	}
	return o.tail.LinesSince(o.asked, maxStacks)
}

// Close closes the pipes at once. Those of a process that was made close themselves
// when the last who can write is gone.
func (o *Output) Close() {
	for _, t := range o.Tails() {
		t.Close()
	}
	o.tail, o.stdout = nil, nil
}

// Reopen goes on with output that was read.
func (o *Output) Reopen(to Destination, id int) error {
	if o.tail == nil {
		return nil
	}
	if err := o.tail.Reopen(to.Worker(id, o.tail.Stream())); err != nil {
		o.tail, o.stdout = nil, nil
		return err
	}
	if o.stdout == nil {
		return nil
	}
	err := o.stdout.ReopenBeside(o.tail, to.Worker(id, o.stdout.Stream()))
	if err != nil {
		o.stdout = nil
	}
	return err
}

// Join adds a stdout that was read, but not with the output that it belongs to; one that
// was stays. It comes before [Output.Reopen], and says no where there is no output.
func (o *Output) Join(stdout *process.Tail) bool {
	if o.tail != nil && o.stdout == nil {
		o.stdout = stdout
	}
	return o.tail != nil
}
