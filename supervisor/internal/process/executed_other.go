//go:build unix && !linux

package process

// watchExec takes the start of the shim for that of the worker: what the shim
// has open beyond the worker's files cannot be made to close at its exec here.
func (s *Spec) watchExec(*[]uintptr) (started func(bool), err error) {
	return func(ok bool) {
		if ok && s.Executed != nil {
			go s.Executed()
		}
	}, nil
}
