//go:build linux

package scales

import (
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

// TestFill: what loaders take counts with what workers take, and nothing is known before
// anybody was weighed.
func TestFill(t *testing.T) {
	st := control.Status{Workers: []control.Worker{{ID: 1, PID: new(11)}, {ID: 2}}, Loaders: []control.Loader{{PID: new(12)}}}
	bytes := map[int]uint64{}
	weigh := func(all []Worker) (weights []Weight) {
		for _, w := range all {
			weights = append(weights, Weight{Bytes: bytes[w.PID], CPU: -1})
		}
		return weights
	}
	if Fill(&st, weigh); st.MemoryBytes != nil {
		t.Errorf("what was not measured is %d", *st.MemoryBytes)
	}
	bytes[11], bytes[12] = 5, 7
	if Fill(&st, weigh); st.MemoryBytes == nil || *st.MemoryBytes != 12 || st.Workers[0].MemoryBytes != 5 || st.Loaders[0].MemoryBytes != 7 {
		t.Errorf("the status is %+v", st)
	}
}
