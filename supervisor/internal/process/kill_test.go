//go:build linux

package process

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// scattered is a worker with one process for each way to be out of its process group,
// beside one of the worker's group, and all of them but the worker.
func scattered(t *testing.T) (worker int, others []int) {
	t.Helper()
	h := newHandshake(t)
	// The shell of a job that ends leaves its own jobs to the subreaper, in a group of
	// their own and in the session of the worker.
	spec := sh(`sleep 1000 & echo $!
		bash -c 'set -m; sleep 1000 & echo $!' ; bash -c 'set -m; sleep 1000 & echo $!; wait' <&3 &
		setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' & wait`)
	spec.Files = []int{h.childIn, h.childOut, 2, h.childIn}
	worker = start(t, spec)
	h.started()
	for range 5 {
		var pid int
		h.json(t, &pid)
		others = append(others, pid)
		t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	}
	return worker, others
}

// What a worker takes is all that its processes take, in whatever group they are.
func TestTreesScattered(t *testing.T) {
	worker, others := scattered(t)
	trees, err := Trees([]int{worker})
	if err != nil {
		t.Fatal(err)
	}
	for i, pid := range others {
		if !slices.Contains(trees[0], pid) {
			t.Errorf("process %d, %d, is missing in %v", i, pid, trees[0])
		}
	}
}

// killing has a killer end these, when begin is closed.
func killing(t *testing.T, begin <-chan struct{}, workers ...int) *Killer {
	t.Helper()
	k := NewKiller(func() []int { <-begin; return nil }, func(pid int, err error) { t.Errorf("process %d: %v", pid, err) })
	for _, pid := range workers {
		if err := k.Kill(pid); err != nil {
			t.Error(err)
		}
	}
	return k
}

// now is a channel that is closed.
func now() <-chan struct{} {
	now := make(chan struct{})
	close(now)
	return now
}

// They all end with it when it is killed, and no other worker does.
func TestKillTree(t *testing.T) {
	other, _ := scattered(t)
	worker, others := scattered(t)
	<-killing(t, now(), worker).Idle()
	if status := await(t, worker); status.Signal != syscall.SIGKILL {
		t.Errorf("the worker ended with %v", status)
	}
	for i, pid := range others {
		for end := time.Now().Add(testTimeout); ; time.Sleep(time.Millisecond) { // between two looks
			reaper.Reap(func(p int) bool { return family[p] }, maps.Keys(family))
			if err := syscall.Kill(pid, 0); err == syscall.ESRCH {
				break
			}
			if time.Now().After(end) {
				t.Errorf("process %d, %d, lives on", i, pid)
				break
			}
		}
	}
	trees, err := Trees([]int{other})
	if err != nil || len(trees[0]) < 6 {
		t.Errorf("of another worker there is left %v, %v", trees, err)
	}
}

// Whoever has workers killed waits for nothing, however many there are, and they all end.
func TestKillMany(t *testing.T) {
	var workers []int
	for range killsAtOnce + 6 {
		workers = append(workers, start(t, sh("trap '' TERM; sleep 1000 & wait")))
	}
	begin := make(chan struct{})
	asked := time.Now()
	k := killing(t, begin, workers...)
	if took := time.Since(asked); took > 100*time.Millisecond {
		t.Errorf("it took %v to have %d workers killed", took, len(workers))
	}
	close(begin)
	<-k.Idle()
	for _, pid := range workers {
		if status := await(t, pid); status.Signal != syscall.SIGKILL {
			t.Errorf("a worker ended with %v", status)
		}
	}
}

// A pid that was reaped before its tree was looked at may be another's: nothing of that is
// killed, and nothing stays stopped.
func TestKillOfOneThatIsReaped(t *testing.T) {
	worker, others := scattered(t)
	begin := make(chan struct{})
	k := killing(t, begin, worker)
	syscall.Kill(worker, syscall.SIGKILL)
	await(t, worker)
	close(begin)
	<-k.Idle()
	var r procReader
	alive := 0
	for _, pid := range others {
		text, err := r.read(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it was of the group
		}
		alive++
		if strings.Contains(string(text), ") T ") {
			t.Errorf("process %d is stopped for ever", pid)
		}
	}
	if alive == 0 {
		t.Error("the premise is gone: nobody was left behind")
	}
}
