//go:build linux

package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// A target is where one TCP address may be bound.
type target struct {
	netip.AddrPort
	dual bool // [::] and 0.0.0.0 in one socket
}

// lookupTimeout bounds the look-up of a host name: enough for the second name server, if the first says nothing.
// Names are "localhost" or in /etc/hosts in all but odd cases.
const lookupTimeout = 12 * time.Second

// targets are the places to bind a to: the first the kernel has a protocol family for.
func targets(a Address) ([]target, error) {
	if a.host == "" {
		return []target{
			{netip.AddrPortFrom(netip.IPv6Unspecified(), a.port), true},
			{netip.AddrPortFrom(netip.IPv4Unspecified(), a.port), false},
		}, nil
	}
	if ip, err := netip.ParseAddr(a.host); err == nil {
		return []target{{netip.AddrPortFrom(ip, a.port), ip == netip.IPv6Unspecified()}}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.host)
	if err != nil {
		return nil, fmt.Errorf("cannot look up the host: %w", err)
	}
	best := ips[0].Unmap()
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			best = ip
			break
		}
	}
	return []target{{netip.AddrPortFrom(best, a.port), false}}, nil
}

func (op *opening) openTCP(a Address) (*listener, error) {
	ts, err := targets(a)
	if err != nil {
		return nil, err
	}
	var l *listener
	for _, t := range ts {
		l, err = op.openTarget(a, t)
		if !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return l, err
		}
	}
	return nil, err
}

func (op *opening) openTarget(a Address, t target) (*listener, error) {
	for _, e := range op.held {
		if e.bound == t.AddrPort && e.dual == t.dual && e.own && op.free(e.listener) {
			return e.listener, nil // the same place by another name
		}
	}
	for _, e := range op.set.entries {
		if overlap(t, e.listener) {
			return nil, conflict(a, e, "one of them takes the connections of both: leave the other out")
		}
	}
	for _, e := range op.held {
		if !overlap(t, e.listener) {
			continue
		}
		if !e.left {
			return nil, conflict(a, e, "the new address has to be bound before the old one is closed; stop and start the master, or change the port as well")
		}
		if err := closeForEverybody(e.listener); err != nil {
			return nil, fmt.Errorf("cannot close %s, which a master before left: %w", e.url, err)
		}
	}
	return op.bindTCP(t)
}

func conflict(a Address, with entry, hint string) error {
	return &Error{Address: a.String(), Err: fmt.Errorf("%w by this master's own %s", unix.EADDRINUSE, with.url), Hint: hint}
}

// overlap reports whether the kernel refuses t while l is there. It is asked beforehand, because two sockets with
// SO_REUSEADDR of which neither listens yet may well be bound to one place, and only listen refuses the second.
func overlap(t target, l *listener) bool {
	if l.fd < 0 || !l.bound.IsValid() || t.Port() == 0 || t.Port() != l.bound.Port() {
		return false
	}
	x, y := t.Addr(), l.bound.Addr()
	if t.dual || l.dual {
		return true
	}
	return x.Is4() == y.Is4() && (x == y || x.IsUnspecified() || y.IsUnspecified())
}

func (op *opening) bindTCP(t target) (*listener, error) {
	fd, err := op.makeTCP(t)
	if err != nil {
		return nil, err
	}
	l := &listener{fd: fd, own: true, dual: t.dual}
	if err = bindReserved(fd, t.AddrPort); err == nil {
		err = l.describe()
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return l, nil
}

// bindReserved binds without SO_REUSEADDR first: with it, another process that sets it too could bind the same place
// until one of the two listens. With it where TIME_WAIT connections of an earlier master are in the way.
func bindReserved(fd int, place netip.AddrPort) error {
	sa, err := sockaddr(place)
	if err != nil {
		return err
	}
	if err = unix.Bind(fd, sa); err != unix.EADDRINUSE {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("cannot set SO_REUSEADDR: %w", err)
	}
	return unix.Bind(fd, sa)
}

// makeTCP makes a plain TCP socket for t, unbound.
func (op *opening) makeTCP(t target) (int, error) {
	family := unix.AF_INET
	if t.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := op.socket(family)
	if err != nil {
		return -1, fmt.Errorf("cannot make a socket: %w", err)
	}
	err = noDelay(fd)
	if err == nil && family == unix.AF_INET6 {
		// Explicitly, because the default is a sysctl (net.ipv6.bindv6only).
		only := 1
		if t.dual {
			only = 0
		}
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			err = fmt.Errorf("cannot set IPV6_V6ONLY: %w", err)
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// noDelay sets TCP_NODELAY on a listener, from which accepted sockets inherit it: servers that are given a
// descriptor often do not know that it is TCP (uvicorn --fd takes it for AF_UNIX), and each token of a stream then
// waits 40 ms for the client's delayed ACK.
func noDelay(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("cannot set TCP_NODELAY: %w", err)
	}
	return nil
}

func sockaddr(ap netip.AddrPort) (unix.Sockaddr, error) {
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, nil
	}
	sa := &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	if zone := ap.Addr().Zone(); zone != "" {
		iface, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, fmt.Errorf("cannot find the interface %q: %w", zone, err)
		}
		sa.ZoneId = uint32(iface.Index)
	}
	return sa, nil
}

// describe asks the kernel where l is bound.
func (l *listener) describe() error {
	sa, err := unix.Getsockname(l.fd)
	if err != nil {
		return fmt.Errorf("cannot ask for the address of the socket: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		l.bound = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			if iface, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				ip = ip.WithZone(iface.Name)
			}
		}
		l.bound = netip.AddrPortFrom(ip, uint16(sa.Port))
	case *unix.SockaddrUnix:
		l.url = "unix://" + sa.Name
		return nil
	default:
		return errors.New("it is neither TCP nor a unix socket")
	}
	l.url = "tcp://" + l.bound.String()
	return nil
}
