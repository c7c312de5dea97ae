//go:build linux

package standstill

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/ownfiles"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
)

// of are those of a master without workers, who left these tails.
func of(idle <-chan struct{}, tails *[]*process.Tail) Options {
	loaders := preload.New()
	return Options{
		Roster: roster.New(), Loaders: &loaders, Files: &ownfiles.Files{},
		Tails: func() []*process.Tail { return *tails }, Idle: func() <-chan struct{} { return idle }, Serve: func(*roster.Worker) {},
	}
}

// TestGivesUp: what is being said or killed for too long is not waited for.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		all := Begin(of(make(chan struct{}), new([]*process.Tail)))
		if err := all.Wait(); err == nil || time.Since(begin) != AtMost {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		all.Resume()
	})
}

// TestCovers: whoever comes after the begin does not stand still.
func TestCovers(t *testing.T) {
	idle := make(chan struct{})
	close(idle)
	var tails []*process.Tail
	add := func() {
		t.Helper()
		tail, err := process.NewTail(process.Stderr, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tail.CloseWriteEnd(); tail.Close() })
		tails = append(tails, tail)
	}
	add()
	all := Begin(of(idle, &tails))
	if err := all.Wait(); err != nil || !all.Covers() {
		t.Errorf("all stand still: %v, %v", all.Covers(), err)
	}
	add()
	if all.Covers() {
		t.Error("one that came later stands still")
	}
	all.Resume()
}
