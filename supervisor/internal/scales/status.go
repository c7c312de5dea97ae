//go:build linux

package scales

import "github.com/gosuper/gosuper/supervisor/control"

// Fill adds to a status what workers and loaders take, as [Scales.Weigh] or
// [Scales.Recall] has it.
func Fill(st *control.Status, weigh func([]Worker) []Weight) {
	var all []Worker
	for _, w := range st.Workers {
		all = append(all, onScales(w.ID, w.PID))
	}
	for _, l := range st.Loaders {
		all = append(all, onScales(LoaderID(l.PID), l.PID))
	}
	weights := weigh(all)
	for i := range st.Workers {
		w := &st.Workers[i]
		w.MemoryBytes, w.MemoryKind, w.CPUSeconds = told(weights[i])
	}
	for i := range st.Loaders {
		l := &st.Loaders[i]
		l.MemoryBytes, l.MemoryKind, l.CPUSeconds = told(weights[len(st.Workers)+i])
	}
}

// onScales is a process that can be weighed, if there is one.
func onScales(id int, pid *int) Worker {
	if pid == nil {
		return Worker{ID: id}
	}
	return Worker{ID: id, PID: *pid}
}

// LoaderID is an id for a loader that no worker has.
func LoaderID(pid *int) int {
	if pid == nil {
		return 0
	}
	return -*pid
}

// told is a weight for people.
func told(w Weight) (bytes uint64, kind control.MemoryKind, cpu *float64) {
	if w.CPU >= 0 {
		cpu = new(control.Seconds(w.CPU))
	}
	return w.Bytes, control.MemoryKind(w.Kind), cpu
}
