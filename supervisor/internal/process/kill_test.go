//go:build linux

package process

import (
	"maps"
	"slices"
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

// They all end with it when it is killed, and no other worker does.
func TestKillTree(t *testing.T) {
	other, _ := scattered(t)
	worker, others := scattered(t)
	if err := KillTree(worker); err != nil {
		t.Error(err)
	}
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
