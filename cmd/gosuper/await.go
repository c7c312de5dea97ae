//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/gosuper/gosuper/supervisor/control"
)

// goesOn is what is to be known of a wish that is not fulfilled for now.
const goesOn = "the master goes on trying, gosuper status says how far it is"

// judgement says how far what was asked for is, whether it is done, and why it
// will not be.
type judgement func(control.Status) (shown string, done bool, err error)

// await waits until it is judged to be done, over an upgrade of the master too,
// and shows on a terminal how far it is. The error says why it will not be.
func (a *app) await(ctx context.Context, m *control.Client, judge judgement) error {
	p := a.progress()
	defer p.clear()
	var failed error
	err := m.Watch(ctx, func(st control.Status) bool {
		shown, done, err := judge(st)
		switch {
		case done:
			return true
		case st.State == control.Stopping:
			failed = errors.New("the master was told to stop before it was done")
		case err != nil:
			failed = err
		}
		p.show(shown)
		return failed != nil
	})
	if err != nil {
		return err
	}
	return failed
}

// failures are the slots that do not boot, from the first status on: what failed
// before somebody began to wait may have been mended by then. The zero value has
// seen none.
type failures struct {
	before map[int]int // boots that had failed, by slot
}

// news are those of which a boot has failed since the first status.
func (f *failures) news(st control.Status) (all []control.Failing) {
	boots := map[int]int{}
	for _, s := range st.Failing {
		boots[s.Slot] = s.Boots
		if f.before != nil && s.Boots > f.before[s.Slot] {
			all = append(all, s)
		}
	}
	if f.before == nil {
		f.before = boots
	}
	for slot := range f.before {
		if boots[slot] == 0 {
			delete(f.before, slot) // it did boot meanwhile
		}
	}
	return all
}

// serves says whether a worker lives that was not told to finish.
func serves(st control.Status, id int) bool {
	for _, w := range st.Workers {
		if w.ID == id {
			return w.State == "starting" || w.State == "ready" || w.State == "spare"
		}
	}
	return false
}

// progress is a line on a terminal that changes. The zero value is not seen by
// anybody.
type progress struct {
	to    io.Writer
	shown string
}

// progress makes one on stderr, if that is a terminal that can take a line back.
func (a *app) progress() *progress {
	if f, ok := a.stderr.(*os.File); ok && isTerminal(f) && !slices.Contains(a.environ, "TERM=dumb") {
		return &progress{to: f}
	}
	return &progress{}
}

// seen says whether anybody sees it.
func (p *progress) seen() bool { return p.to != nil }

// show changes the line.
func (p *progress) show(text string) {
	if p.seen() && text != p.shown {
		fmt.Fprint(p.to, "\r"+readable(text)+restEmpty)
		p.shown = text
	}
}

// clear takes the line back, for what comes next.
func (p *progress) clear() {
	if p.shown != "" {
		fmt.Fprint(p.to, "\r"+restEmpty)
		p.shown = ""
	}
}
