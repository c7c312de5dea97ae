//go:build linux

package scales

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

func TestWeigh(t *testing.T) {
	f := New()
	f.Attach(Trees, nil)
	f.by[9] = &figure{}
	own := Worker{ID: 1, PID: os.Getpid()}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				weights := f.Weigh([]Worker{own, {ID: 2}})
				if weights[0].Bytes == 0 || weights[0].Kind == "" {
					t.Errorf("this process is %+v", weights[0])
				}
				if weights[1].Bytes != 0 {
					t.Errorf("a worker without a process is %+v", weights[1])
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

// TestOneThatHangs: it is hardly waited for while the last one known will do, and in
// the end a little, before what can be had without waiting.
func TestOneThatHangs(t *testing.T) {
	hanging := &figure{busy: make(chan struct{}), bytes: 42, kind: process.PSS, at: time.Now().Add(-memoryStale / 2)}
	f := New()
	f.Attach(Trees, nil)
	f.by[1] = hanging
	workers := []Worker{{ID: 1, PID: os.Getpid()}}
	shortest := memoryWait
	for range 5 { // the machine may be busy
		begin := time.Now()
		f.Weigh(workers)
		shortest = min(shortest, time.Since(begin))
	}
	if shortest < recallWait || shortest == memoryWait {
		t.Errorf("given up after %v", shortest)
	}
	weights := f.Weigh(workers)
	if weights[0].Bytes != 42 || weights[0].Kind != process.PSS {
		t.Errorf("the last known is %+v", weights[0])
	}
	hanging.at = time.Now().Add(-memoryStale)
	begin := time.Now()
	weights = f.Weigh(workers)
	if took := time.Since(begin); took < memoryWait {
		t.Errorf("given up after %v", took)
	}
	if weights[0].Bytes <= 42 || weights[0].Kind != process.RSS {
		t.Errorf("what can be had is %+v", weights[0])
	}
}
