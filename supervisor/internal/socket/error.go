//go:build linux

package socket

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// An Error says which address could not be listened on, why, and what to do about it.
type Error struct {
	Address string // as configured, or what the socket was passed as
	Err     error  // wraps the errno, where the kernel said no
	Hint    string // one sentence for the user, lower case, no period; empty where there is nothing to say
	Taken   bool   // another process has the address, and may be about to end
}

func (e *Error) Error() string { return "cannot listen on " + e.Address + ": " + e.Err.Error() }

// Unwrap returns Err, so that errors.Is(err, syscall.EADDRINUSE) works.
func (e *Error) Unwrap() error { return e.Err }

// failed is the error for an address that the kernel or the file system refused.
func failed(a Address, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	// As the kernel said it: what was found out here, that this master has it itself, has words around it.
	return &Error{Address: a.String(), Err: err, Hint: hint(a, err), Taken: err == error(unix.EADDRINUSE)}
}

func hint(a Address, err error) string {
	if a.kind == local {
		return pathHint(err)
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Sprintf("another process listens there; find it with: ss -ltnp 'sport = :%d'", a.port)
	case errors.Is(err, unix.EACCES) && a.port < 1024:
		return fmt.Sprintf("ports below 1024 need root, CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), or: sysctl net.ipv4.ip_unprivileged_port_start=%d", a.port)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Sprintf(`this machine has no such address; "ip -brief address" lists those it has, ":%d" means all of them`, a.port)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Sprintf(`this kernel has no IPv6; ":%d" takes IPv4 where that is all there is`, a.port)
	}
	return ""
}

func pathHint(err error) string {
	switch {
	case errors.Is(err, errNotSocket):
		return "only a socket that no process holds any more is replaced; remove the file, or take another path"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return "the directory of a unix socket must exist"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EROFS):
		return "the master must be allowed to create files in the directory of the socket, and root to give it to another user"
	}
	return ""
}
