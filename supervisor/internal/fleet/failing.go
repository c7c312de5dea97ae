package fleet

// Failing is a slot whose workers do not boot.
type Failing struct {
	Slot    int
	Boots   int // failed in a row
	Culprit int // id of the last worker whose boot failed
}

// Failing returns the slots in which StartupAttempts boots or more have failed in
// a row, which is what a rollout is given up for: it goes on there, but nobody
// should wait for it.
func (f *Fleet) Failing() (all []Failing) {
	for i, s := range f.slots {
		if s.revision == f.current.number && s.failures >= f.current.StartupAttempts {
			all = append(all, Failing{i, s.failures, s.culprit})
		}
	}
	return all
}
