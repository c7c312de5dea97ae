//go:build linux

package process

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Unclaimed are children that ended before anybody said whose they are. Who has a
// process made by another one learns its pid from that one, and may be told of its
// end by the kernel first: [Reap] takes it for an orphan then. The zero value holds
// none.
type Unclaimed struct{ ended []Orphan }

// maxUnclaimed is how many are kept. Of more the oldest are forgotten: whoever claims
// one of those is told that it lives, and has a deadline of its own for it.
const maxUnclaimed = 256

// Keep keeps how these orphans ended, which were just reaped.
func (u *Unclaimed) Keep(reaped []Orphan) {
	u.ended = append(u.ended, reaped...)
	u.ended = slices.Delete(u.ended, 0, max(len(u.ended)-maxUnclaimed, 0))
}

// Claim returns how the child ended that had this pid, once; false: it has not. The
// kernel may have given the pid to another child by now, and that one is meant then.
func (u *Unclaimed) Claim(pid int) (Status, bool) {
	at := slices.IndexFunc(u.ended, func(o Orphan) bool { return o.Pid == pid })
	if at < 0 {
		return Status{}, false
	}
	status := u.ended[at].Status
	u.ended = slices.DeleteFunc(u.ended, func(o Orphan) bool { return o.Pid == pid })
	return status, !IsChild(pid)
}

// Holds says whether one of them had that pid.
func (u *Unclaimed) Holds(pid int) bool {
	return slices.ContainsFunc(u.ended, func(o Orphan) bool { return o.Pid == pid })
}

// Drop forgets all: there is nobody left who could claim one.
func (u *Unclaimed) Drop() { u.ended = nil }

// IsChild says whether there is a child with this pid, dead or alive, that was not
// reaped.
func IsChild(pid int) bool {
	if isDeparting(pid) {
		return false
	}
	for {
		var info siginfo
		_, _, errno := unix.RawSyscall6(unix.SYS_WAITID, unix.P_PID, uintptr(pid), uintptr(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0)
		if errno != unix.EINTR {
			return errno == 0
		}
	}
}
