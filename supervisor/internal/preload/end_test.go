//go:build linux

package preload

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loader"
	"github.com/gosuper/gosuper/supervisor/internal/outfit"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/worker/protocol"
)

// What an end means in each state of a loader, also by what it has said before, and nobody has
// heard before it was reaped: hopeless is who exits so before READY=1 of its own accord.
func TestEnds(t *testing.T) {
	hopeless := process.Status{Code: protocol.ExitHopeless}
	const ready, atOnce = "READY=1", leftAtOnce + " (exit status 78)"
	for _, tt := range []struct {
		name     string
		state    fleet.LoaderState
		wasReady bool
		failure  string
		says     []string
		end      process.Status
		noted    []string
		status   string // that is remembered; "": its end was asked for
		reason   fleet.Reason
	}{
		{name: "starting", state: fleet.LoaderStarting, end: hopeless, noted: []string{"Hopeless", "LoaderExited"}, status: "exit status 78", reason: "startup"},
		{name: "starting, and may succeed", state: fleet.LoaderStarting, end: process.Status{Code: 1}, noted: []string{"LoaderExited"}, status: "exit status 1", reason: "startup"},
		{name: "starting, said more", state: fleet.LoaderStarting, says: []string{"STATUS=x", "EXTEND_TIMEOUT_USEC=1"}, end: hopeless, noted: []string{"LoaderExtended", "Hopeless", "LoaderExited"}, status: "exit status 78", reason: "startup"},
		{name: "just ready", state: fleet.LoaderStarting, says: []string{ready}, end: hopeless, noted: []string{"LoaderExited"}, status: atOnce, reason: "startup"},
		{name: "ready", state: fleet.LoaderServing, wasReady: true, end: hopeless, noted: []string{"LoaderExited"}, status: "exit status 78", reason: "crash"},
		{name: "not needed, and ready", state: fleet.LoaderStopping, wasReady: true, end: hopeless, noted: []string{"LoaderExited"}},
		{name: "not needed, and loading", state: fleet.LoaderStopping, end: hopeless, noted: []string{"LoaderExited"}},
		{name: "not needed, and just ready", state: fleet.LoaderStopping, says: []string{ready}, end: hopeless, noted: []string{"LoaderExited"}},
		{name: "not needed, and too slow", state: fleet.LoaderKilled, end: hopeless, noted: []string{"LoaderExited"}},
		{name: "starts too slowly", state: fleet.LoaderAborted, failure: "slow", end: hopeless, noted: []string{"Hopeless", "LoaderExited"}, status: "slow (exit status 78)", reason: "startup"},
		{name: "starts too slowly, and just ready", state: fleet.LoaderAborted, failure: "slow", says: []string{ready}, end: hopeless, noted: []string{"LoaderExited"}, status: "slow (exit status 78)", reason: "startup"},
		{name: "hung", state: fleet.LoaderAborted, wasReady: true, failure: "hung", end: hopeless, noted: []string{"LoaderExited"}, status: "hung (exit status 78)", reason: "crash"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			one := h.near()
			h.state, one.failure = tt.state, tt.failure
			if tt.wasReady {
				h.readyAt = time.Now()
			}
			one.say(t, tt.says...)
			h.ended(tt.end)
			h.expect(tt.noted...)
			if e := h.loaders.Ending(1); e.Status != tt.status {
				t.Errorf("it ended with %+v, want %q", e, tt.status)
			}
			if failed := len(h.failed) == 1 && h.failed[0].Reason == string(tt.reason); failed != (tt.status != "") {
				t.Errorf("remembered are %+v", h.failed)
			}
			if slices.Contains(tt.says, "STATUS=x") && one.says != "x" {
				t.Errorf("it says %q", one.says)
			}
			if len(h.loaders.All()) > 0 {
				t.Errorf("there is still %+v", h.loaders.All())
			}
		})
	}
}

// near starts a loader whose end of the socket is here.
func (h *house) near() *Loader {
	h.t.Helper()
	one := h.start()
	channel, err := loader.New()
	if err != nil {
		h.t.Fatal(err)
	}
	one.channel.Close()
	channel.PID, one.channel = pid, channel
	h.loaders.serve(one)
	return one
}

// say says something in the name of a loader, which closes its end then.
func (l *Loader) say(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := unix.Write(l.channel.ChildFd(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	l.channel.CloseChild()
}

// An answer that a loader or its worker gave before the loader ended counts, also for a
// worker that is dead as well. Who is asked for after it gets none.
func TestAnswersBeforeItsEnd(t *testing.T) {
	for says, want := range map[string]string{
		"SPAWNED=7":           fmt.Sprint(os.Getpid(), " <nil> []"),
		"FAILED=7\nno memory": "0 the loader could not make the worker [no memory]",
		"STATUS=bye":          "0 " + loader.ErrGone.Error() + " []",
	} {
		h := newHouse(t)
		one := h.near()
		h.state, h.readyAt = fleet.LoaderServing, time.Now()
		h.roster.Expect()
		h.roster.ReapedOthers([]process.Orphan{{Pid: os.Getpid()}})
		var told []string
		for _, id := range []int{7, 8} {
			if err := h.loaders.Ask(1, id, &outfit.Outfit{}, func(pid int, err error) {
				var lines []string
				if f, ok := errors.AsType[*loader.Failure](err); ok {
					lines = f.Lines
				}
				told = append(told, fmt.Sprint(pid, " ", err, " ", lines))
			}); err != nil {
				t.Fatal(err)
			}
		}
		one.say(t, says)
		h.ended(process.Status{Code: 1})
		h.expect("LoaderExited")
		if all := []string{want, "0 " + loader.ErrGone.Error() + " []"}; !slices.Equal(told, all) {
			t.Errorf("%q: told %q, want %q", says, told, all)
		}
		if len(h.loaders.All()) > 0 {
			t.Errorf("%q: there is still %+v", says, h.loaders.All())
		}
	}
}
