//go:build linux

package revision

import "github.com/gosuper/gosuper/supervisor/internal/socket"

// Known are the revisions that workers have or may get, by number.
type Known struct {
	All     map[int]*Revision `state:"revisions,list=number"`
	Current *Revision         `state:"-"`    // in force
	Last    int               `state:"last"` // number of the newest
}

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
