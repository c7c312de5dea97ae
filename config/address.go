package config

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unicode"
)

// maxUnixPath is the longest path of a unix socket: sun_path without its final
// NUL, 107 bytes on Linux (unix(7)).
const maxUnixPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// checkAddress checks the syntax of one address of bind. Whether it can be
// bound is found out by binding it.
func checkAddress(address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return checkUnix(path)
	}
	if number, ok := strings.CutPrefix(address, "fd://"); ok {
		fd, err := strconv.ParseUint(number, 10, 31)
		if err != nil {
			return wrong("", `must be "fd://" and a descriptor, not %s`, quote(address))
		}
		if fd < 3 {
			return wrong("", "must be a descriptor from 3 on, not %s: the first three are stdin, stdout and stderr", quote(address))
		}
		return nil
	}
	if scheme, rest, ok := strings.Cut(address, "://"); ok {
		hint := ""
		if rest = strings.TrimRight(rest, "/"); checkTCP(rest) == nil {
			hint = didYouMean(quote(rest))
		}
		return wrong(hint, "must not begin with %s", quote(scheme+"://"))
	}
	return checkTCP(address)
}

func checkUnix(path string) error {
	switch {
	case path == "":
		return wrong("", `must be "unix:" and a path`)
	case strings.HasPrefix(path, "@"):
		return wrong("name a path", "must be the path of a unix socket: abstract sockets have no permissions")
	case strings.HasSuffix(path, "/"):
		return wrong("", "must be the path of a socket, not of a folder: %s", quote(path))
	}
	return nil
}

func checkTCP(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return checkNoPort(address)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case port == "":
		return wrong(didYouMean(quote(address+"8000")), "has no port: %s", quote(address))
	case errors.Is(err, strconv.ErrRange):
		return wrong("", "must have a port from 0 to 65535, not %s", port)
	case err != nil:
		return wrong("", "must have a number as its port, not %s", quote(port))
	case strconv.FormatUint(n, 10) != port:
		return wrong(didYouMean(strconv.FormatUint(n, 10)), "must have a port without leading zeros, not %s", quote(port))
	case host == "*":
		return wrong(didYouMean(quote(":"+port)), "must be an address of this machine, not %s", quote(host))
	}
	return checkHost(host, strings.HasPrefix(address, "["))
}

// checkNoPort explains an address that cannot be taken apart.
func checkNoPort(address string) error {
	if n, err := strconv.ParseUint(address, 10, 16); err == nil {
		return wrong(didYouMean(quote(":"+strconv.FormatUint(n, 10))), `must be "host:port", not a port alone`)
	}
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		if ip, err := netip.ParseAddr(address[:i]); err == nil && ip.Is6() {
			return wrong(didYouMean(quote("["+address[:i]+"]"+address[i:])), "must have its IPv6 address in brackets: %s", quote(address))
		}
	}
	bare := strings.Trim(address, "[]")
	if ip, err := netip.ParseAddr(bare); err == nil {
		if ip.Is6() {
			return wrong(didYouMean(quote("["+bare+"]:8000")), "has no port: %s", quote(address))
		}
		return wrong(didYouMean(quote(bare+":8000")), "has no port: %s", quote(address))
	}
	if strings.ContainsRune(address, '/') {
		return wrong(didYouMean(quote("unix:"+address)), `must be "host:port", "unix:/path" or "fd://3", not %s`, quote(address))
	}
	if !strings.ContainsRune(address, ':') && address != "" {
		return wrong(didYouMean(quote(address+":8000")), "has no port: %s", quote(address))
	}
	return wrong("", `must be "host:port", "[::1]:80", ":8000", "unix:/path" or "fd://3", not %s`, quote(address))
}

// checkHost checks the part before the port: nothing, an IP address, or a name.
func checkHost(host string, brackets bool) error {
	if _, err := netip.ParseAddr(host); err == nil || host == "" && !brackets {
		return nil
	}
	strange := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '.' && r != '_'
	}
	if brackets || strings.Trim(host, "0123456789.") == "" || strings.ContainsFunc(host, strange) {
		return wrong("", "must have an IP address or a host name before the port, not %s", quote(host))
	}
	return nil
}

// checkAddresses checks the addresses of bind, all of which are well formed,
// together.
func checkAddresses(addresses []string) error {
	if len(addresses) == 0 {
		return wrong("leave it out for the default", "must have at least one address")
	}
	seen := make(map[string]string)
	for _, a := range addresses {
		same := canonical(a)
		first, twice := seen[same]
		switch {
		case !twice || strings.HasSuffix(same, ":0"):
			seen[same] = a
		case first == a:
			return wrong("", "has %s twice", quote(a))
		default:
			return wrong("", "has %s twice, also as %s", quote(first), quote(a))
		}
	}
	return nil
}

// canonical is the one spelling of an address that is well formed.
func canonical(address string) string {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix:" + filepath.Clean(path)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.HasPrefix(address, "fd:") {
		return address
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return net.JoinHostPort(strings.ToLower(host), port)
}
