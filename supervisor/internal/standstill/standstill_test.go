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

// of are those of a master without workers.
func of(idle <-chan struct{}) Options {
	loaders := preload.New()
	return Options{
		Roster: roster.New(), Loaders: &loaders, Files: &ownfiles.Files{},
		Idle: func() <-chan struct{} { return idle }, Serve: func(*roster.Worker) {},
	}
}

// TestGivesUp: what is being said or killed for too long is not waited for.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		all := Begin(of(make(chan struct{})))
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
	master := of(idle)
	add := func() {
		t.Helper()
		tail, err := process.NewTail(process.Stderr, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tail.CloseWriteEnd(); tail.Close() })
		master.Roster.Leave(tail)
	}
	add()
	all := Begin(master)
	if err := all.Wait(); err != nil || !all.Covers() {
		t.Errorf("all stand still: %v, %v", all.Covers(), err)
	}
	add()
	if all.Covers() {
		t.Error("one that came later stands still")
	}
	all.Resume()
}
