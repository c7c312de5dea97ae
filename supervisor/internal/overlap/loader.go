//go:build linux

package overlap

import (
	"fmt"

	"github.com/gosuper/gosuper/config"
)

// Loader tells, by and by, why there is no memory for the loader of a reload beside these, by
// pid; nil: there is. Another one is going to take what the largest of them does, with all
// that its workers have in common with it.
func (m *Meter) Loader(beside []int, tell func(error)) {
	go func() {
		var err error
		h, limited := config.HeadroomOf(m.options.Root)
		if each := config.Size(m.options.Scales.Unshared(beside)); limited && h.Left < each {
			err = fmt.Errorf("memory has no room to load the application a second time: %v are left of the %v of %s, and it takes %v; raise the limit, or restart instead of reloading",
				inMiB(h.Left), h.Limit, h.At, inMiB(each))
		}
		m.options.Loop.Report(func() {
			tell(err)
			m.options.Step()
		})
	}()
}
