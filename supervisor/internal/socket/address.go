//go:build linux

package socket

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

type kind uint8

const (
	tcp kind = iota
	local
	passed
)

// maxPath is the longest unix path the kernel takes, in bytes: sun_path less its terminating NUL.
const maxPath = len(unix.RawSockaddrUnix{}.Path) - 1

// An Address says where to listen. The zero value is not an address; [Parse] makes them. Addresses are
// comparable, and equal ones mean the same socket over a reload.
type Address struct {
	kind kind
	host string // tcp: as configured, an IP literal in canonical form; empty for every address of the machine
	port uint16 // tcp: 0 lets the kernel choose
	path string // local
	fd   int    // passed
}

// Parse reads one bind address:
//
//	"127.0.0.1:8000", "[::1]:80", "localhost:8000"
//	":8000"        every address of the machine, IPv6 and IPv4; IPv4 alone where the kernel has no IPv6
//	"unix:/path"   a unix stream socket
//	"fd://3"       a listening socket that whoever started the master left open
//
// "[::]:8000" is dual stack as well. Port 0 lets the kernel choose; a reload with the same text keeps the socket
// and therefore the port. The forms that [Address.URL] prints are read too. A host name is looked up by
// [Open], not here, and the first IPv4 address it has is taken, else its first IPv6 address (as net.Listen does).
//
// Abstract unix addresses ("unix:@name") are refused: they have neither owner nor mode, so any local user may
// connect, and while one leaves on a reload nothing short of closing it keeps new connections away.
//
// The error is an [*Error].
func Parse(text string) (Address, error) {
	a, err := parse(text)
	if err != nil {
		return Address{}, &Error{Address: strconv.Quote(text), Err: err, Hint: parseHint(text)}
	}
	return a, nil
}

func parse(text string) (Address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		return parsePath(path)
	}
	if number, ok := strings.CutPrefix(text, "fd:"); ok { // not a host either, which would be a surprise
		number = strings.TrimPrefix(number, "//")
		fd, err := strconv.ParseUint(number, 10, 31)
		if err != nil {
			return Address{}, fmt.Errorf("%q is not a file descriptor", number)
		}
		if fd < 3 {
			return Address{}, fmt.Errorf("descriptor %d is a standard stream", fd)
		}
		return Address{kind: passed, fd: int(fd)}, nil
	}
	return parseTCP(strings.TrimPrefix(text, "tcp://"))
}

func parsePath(path string) (Address, error) {
	path = strings.TrimPrefix(path, "//")
	switch {
	case path == "":
		return Address{}, errors.New("no path")
	case filepath.Clean(path)[0] == '@': // "./@name" too: x/sys would read it as abstract once it is cleaned
		return Address{}, errors.New("abstract unix sockets are not supported")
	case strings.IndexByte(path, 0) >= 0:
		return Address{}, errors.New("NUL in the path")
	case isDirectory(path):
		return Address{}, errors.New("the path is a directory")
	}
	a := Address{kind: local, path: filepath.Clean(path)}
	return a, a.checkPath()
}

// isDirectory: the path can be nothing but a directory.
func isDirectory(path string) bool {
	last := path[strings.LastIndexByte(path, '/')+1:]
	return last == "" || last == "." || last == ".."
}

func (a Address) checkPath() error {
	if len(a.path) > maxPath {
		return fmt.Errorf("the path has %d bytes, a unix socket's can have %d", len(a.path), maxPath)
	}
	return nil
}

func parseTCP(text string) (Address, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		// AddrError repeats the address, which the caller prints anyway.
		if ae, ok := errors.AsType[*net.AddrError](err); ok {
			return Address{}, errors.New(ae.Err)
		}
		return Address{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Address{}, fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	host = strings.ToLower(host)
	// "unix" and "fd" can only come from a scheme in capitals, or from one behind "tcp://".
	if host == "*" || host == "unix" || host == "fd" || strings.ContainsAny(host, " \t\n/@") {
		return Address{}, fmt.Errorf("%q is not a host", host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	} else if strings.Contains(host, ":") {
		return Address{}, fmt.Errorf("%q is not an IPv6 address", host)
	}
	return Address{kind: tcp, host: host, port: uint16(number)}, nil
}

func parseHint(text string) string {
	switch {
	case strings.HasPrefix(text, "unix:"):
		return `write "unix:/path" with a path in the file system, at most ` + strconv.Itoa(maxPath) + " bytes long"
	case strings.HasPrefix(text, "fd:"):
		return `write "fd://3" with the number of an inherited listening socket`
	case strings.HasPrefix(text, "/"), strings.HasPrefix(text, "./"):
		return "for a unix socket write " + strconv.Quote("unix:"+text)
	}
	if _, err := strconv.ParseUint(text, 10, 16); err == nil {
		return "for a port of every address write " + strconv.Quote(":"+text)
	}
	if port, ok := strings.CutPrefix(text, "*:"); ok {
		return "for a port of every address write " + strconv.Quote(":"+port)
	}
	return `write "host:port", "[::1]:80", ":8000", "unix:/path" or "fd://3"`
}

// String is the address as it is written in the configuration, in canonical form: Parse(a.String()) is a.
func (a Address) String() string {
	switch a.kind {
	case local:
		return "unix:" + a.path
	case passed:
		return "fd://" + strconv.Itoa(a.fd)
	}
	return net.JoinHostPort(a.host, strconv.Itoa(int(a.port)))
}

// URL is the address for status and logs: "tcp://127.0.0.1:8000", "unix:///run/app.sock", "fd://3".
func (a Address) URL() string {
	switch a.kind {
	case local:
		return "unix://" + a.path
	case passed:
		return a.String()
	}
	return "tcp://" + a.String()
}

// In is the address with a relative unix path taken from the directory dir. Other addresses are returned as
// they are. A path that has become too long is refused by [Open].
func (a Address) In(dir string) Address {
	if a.kind == local && !filepath.IsAbs(a.path) {
		a.path = filepath.Join(dir, a.path)
	}
	return a
}

// MarshalText and UnmarshalText are how an address is written down.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (a *Address) UnmarshalText(text []byte) (err error) {
	*a, err = Parse(string(text))
	return err
}
