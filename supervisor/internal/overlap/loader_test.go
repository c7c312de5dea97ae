//go:build linux

package overlap

import (
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
)

// heavy is the processes of a loader that takes so much, in MiB.
type heavy int

func (h heavy) Resident() uint64                            { return uint64(h+1) << 20 }
func (h heavy) Private() (uint64, error)                    { return uint64(h) << 20, nil }
func (h heavy) Memory() (uint64, process.MemoryKind, error) { return uint64(h) << 18, process.PSS, nil }
func (h heavy) CPU() (time.Duration, error)                 { return 0, nil }

// A loader needs as much memory as the largest of those that there are.
func TestLoader(t *testing.T) {
	for _, test := range []struct {
		root fs.FS
		fits bool
	}{
		{fstest.MapFS{}, true},
		{machine(1000, 450), true},
		{machine(1000, 451), false},
	} {
		m, _ := meter(test.root)
		m.options.Scales.Attach(func(pids []int) ([]scales.Tree, error) {
			if !slices.Equal(pids, []int{7, 8}) {
				t.Errorf("looked into are %v", pids)
			}
			return []scales.Tree{heavy(100), heavy(500)}, nil
		}, nil)
		told := make(chan error, 1)
		m.Loader([]int{7, 8}, func(err error) { told <- err })
		m.hear(t)
		if err := <-told; (err == nil) != test.fits {
			t.Errorf("it is told %v", err)
		}
	}
}
