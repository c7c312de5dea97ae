//go:build linux

// Package outfit is what a process is given that works for the master: an environment
// and descriptors, as data. Whoever makes the process, be it the main thread or a
// loader, gives it this and needs to know nothing else.
//
// [Worker] says where all that is that a worker shares with the master, and [Loader]
// the same of a loader; their outfits follow from that alone. See package protocol for
// what the variables mean to the process.
package outfit

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// Outfit is what one process is given. What is open here for the process alone is
// closed with it.
type Outfit struct {
	Env   []string
	Files []int // descriptors of the process from 0 on, by their numbers here

	lent []func() // close what is open here for the process alone
}

// set gives the process a variable.
func (o *Outfit) set(name, value string) { o.Env = append(o.Env, name+"="+value) }

// number gives the process a variable that is a number.
func (o *Outfit) number(name string, value int64) { o.set(name, strconv.FormatInt(value, 10)) }

// hand gives the process a descriptor, and a variable that says which it is; -1: there
// is none.
func (o *Outfit) hand(name string, fd int) {
	if fd >= 0 {
		o.number(name, int64(len(o.Files)))
		o.Files = append(o.Files, fd)
	}
}

// Lend has what closes something be called when nobody needs that here any more.
func (o *Outfit) Lend(closeIt ...func()) { o.lent = append(o.lent, closeIt...) }

// Own makes of all descriptors copies that are the outfit's alone. While the process is
// made its owner goes on, and may close what they are copies of.
func (o *Outfit) Own() error {
	lent := o.lent
	for i, fd := range o.Files {
		if fd == process.Null {
			continue
		}
		own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cannot copy what a worker is given: %w", err)
		}
		o.Files[i] = own
		o.Lend(func() { unix.Close(own) })
	}
	for _, closeIt := range lent {
		closeIt()
	}
	o.lent = o.lent[len(lent):]
	return nil
}

// Close closes what nobody needs here when the process has it, or will never be.
func (o *Outfit) Close() {
	for _, closeIt := range o.lent {
		closeIt()
	}
}
