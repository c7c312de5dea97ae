//go:build linux

package listeners

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// opening is a house whose slots have addresses of their own, in a folder.
type opening struct {
	*house
	*testing.T
	dir  string
	told []int   // the workers whose slots are open, or cannot be opened
	errs []error // why not
}

func newOpening(t *testing.T) *opening {
	t.Helper()
	o := &opening{house: newHouse(t, 1), T: t, dir: t.TempDir()}
	c := config.Default()
	c.BindSlot = []string{"unix:" + o.dir + "/{slot}.sock"}
	o.first.Config, o.options.Revisions.Current.Config = c, c
	t.Cleanup(func() { o.own(1).Close() })
	return o
}

func (o *opening) own(slot int) *socket.Set {
	return o.first.Sockets.Private(func(one int) bool { return one == slot })
}

// open opens the slot of a worker.
func (o *opening) open(id, slot int) {
	w := &roster.Worker{Identity: fleet.Identity{ID: id, Slot: slot}, Rev: o.first}
	o.OpenSlot(w, func(err error) {
		o.told = append(o.told, id)
		if err != nil {
			o.errs = append(o.errs, err)
		}
	})
}

// slow has the file system take its time until the function returned is called.
func (o *opening) slow() (goOn func()) {
	hung := make(chan struct{})
	o.Do(func() { <-hung }, func() {})
	return func() { close(hung) }
}

// await waits until so many were told.
func (o *opening) await(n int) {
	o.Helper()
	for len(o.told) < n {
		select {
		case do := <-o.options.Loop.C:
			do()
		case <-time.After(time.Minute):
			o.Fatalf("%v were told", o.told)
		}
	}
}

// Who comes to a slot whose addresses are being bound waits for that, and whoever comes
// later does not wait.
func TestOpenSlot(t *testing.T) {
	o := newOpening(t)
	goOn := o.slow()
	o.open(8, 1)
	o.open(9, 1)
	if len(o.told) > 0 {
		t.Error("nobody waits for the file system")
	}
	goOn()
	o.await(2)
	o.open(10, 1)
	if !slices.Equal(o.told, []int{8, 9, 10}) || o.errs != nil || o.own(1).Len() != 1 || len(o.options.Revisions.Current.Sockets.Of(1).URLs()) != 1 {
		t.Errorf("told %v: %v, slot 1 has %v", o.told, o.errs, o.own(1).URLs())
	}
	if _, err := os.Stat(filepath.Join(o.dir, "1.sock")); err != nil {
		t.Error(err)
	}
}

// Each of those who wait hears that it cannot be, and the next one may have more luck.
func TestOpenSlotInVain(t *testing.T) {
	o := newOpening(t)
	moved := o.dir + "-moved"
	if err := os.Rename(o.dir, moved); err != nil {
		t.Fatal(err)
	}
	goOn := o.slow()
	o.open(8, 1)
	o.open(9, 1)
	goOn()
	o.await(2)
	if len(o.errs) != 2 {
		t.Errorf("told %v: %v", o.told, o.errs)
	}
	if err := os.Rename(moved, o.dir); err != nil {
		t.Fatal(err)
	}
	o.open(10, 1)
	if o.await(3); len(o.errs) != 2 || o.own(1).Len() != 1 {
		t.Errorf("then %v, slot 1 has %v", o.errs, o.own(1).URLs())
	}
}

// A socket that was to be taken over and is closed meanwhile is made anew.
func TestOpenSlotOfWhatIsClosed(t *testing.T) {
	o := newOpening(t)
	o.open(8, 1)
	o.await(1)
	before := o.own(1)
	o.GiveUp(before)
	o.first.Sockets = o.first.Sockets.Shared()
	goOn := o.slow()
	o.open(9, 1)
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	goOn()
	o.await(2)
	if o.errs != nil || o.own(1).Len() != 1 || slices.Equal(o.own(1).Fds(1), before.Fds(1)) {
		t.Errorf("%v, slot 1 has %v", o.errs, o.own(1).URLs())
	}
}
