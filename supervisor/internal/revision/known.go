//go:build linux

package revision

import (
	"errors"
	"fmt"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// Known are the revisions that workers have or may get, by number.
type Known struct {
	All     map[int]*Revision `state:"revisions,list=number"`
	Current *Revision         `state:"-"`    // in force
	Last    int               `state:"last"` // number of the newest
}

// Resume goes on with revisions that were read, of which the one with the number current
// is in force.
func (k *Known) Resume(current int) error {
	for n, one := range k.All {
		if one.Config == nil {
			return fmt.Errorf("revision %d has no configuration", n)
		}
		one.Number = n
		if one.Memory.Hard == 0 { // or nothing was written beside what is configured
			one.Memory.Hard = max(one.Config.MaxWorkerMemoryHard, 0)
		}
	}
	if k.Current = k.All[current]; k.Current == nil {
		return errors.New("no configuration is in force")
	}
	return nil
}

// InForce is the configuration in force.
func (k *Known) InForce() *config.Config { return k.Current.Config }

// Add makes a revision known, so that workers of it can be spawned.
func (k *Known) Add(one *Revision) {
	k.All[one.Number] = one
	k.Last = one.Number
}

// Drop forgets those that no worker can have any more, which it returns.
func (k *Known) Drop(live map[int]bool) (dropped []*Revision) {
	for n, one := range k.All {
		if !live[n] {
			delete(k.All, n)
			dropped = append(dropped, one)
		}
	}
	return dropped
}

// Sockets are those that workers may have.
func (k *Known) Sockets() (all []*socket.Set) {
	for _, one := range k.All {
		all = append(all, one.Sockets)
	}
	return all
}

// LogAccess says whether workers may write to the access log.
func (k *Known) LogAccess() bool {
	for _, one := range k.All {
		if one.Config.Log.AccessFile != "" {
			return true
		}
	}
	return false
}

// Admins are the sockets of the admin listeners.
func (k *Known) Admins() (all []*socket.Set) {
	for _, one := range k.All {
		all = append(all, one.Admin)
	}
	return all
}
