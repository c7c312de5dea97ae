//go:build linux

package supervisor

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

func TestFootprints(t *testing.T) {
	f := footprints{by: map[int]*footprint{9: {}}}
	own := control.Worker{ID: 1, PID: os.Getpid()}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				workers := []control.Worker{own, {ID: 2}}
				f.fill(workers)
				if workers[0].MemoryBytes == 0 || workers[0].MemoryKind == "" {
					t.Errorf("this process is %+v", workers[0])
				}
				if workers[1].MemoryBytes != 0 {
					t.Errorf("a worker without a process is %+v", workers[1])
				}
			}
		})
	}
	wg.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by[9] != nil || len(f.by) != 1 {
		t.Error("workers that are gone are not forgotten")
	}
}

// TestFootprintThatHangs: it is waited for a little, then the last one known will
// do, and in the end what can be had without waiting.
func TestFootprintThatHangs(t *testing.T) {
	hanging := &footprint{busy: make(chan struct{}), bytes: 42, kind: process.PSS, at: time.Now().Add(-memoryStale / 2)}
	f := footprints{by: map[int]*footprint{1: hanging}}
	workers := []control.Worker{{ID: 1, PID: os.Getpid()}}
	begin := time.Now()
	f.fill(workers)
	if took := time.Since(begin); took < memoryWait {
		t.Errorf("given up after %v", took)
	}
	if workers[0].MemoryBytes != 42 || workers[0].MemoryKind != control.PSS {
		t.Errorf("the last known is %+v", workers[0])
	}
	hanging.at = time.Now().Add(-memoryStale)
	f.fill(workers)
	if workers[0].MemoryBytes <= 42 || workers[0].MemoryKind != control.RSS {
		t.Errorf("what can be had is %+v", workers[0])
	}
}
