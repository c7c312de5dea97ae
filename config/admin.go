package config

import (
	"net"
	"net/netip"
	"strings"
)

// Admin is the table [admin].
type Admin struct {
	// Bind is the address of the admin listener, "host:port" or "unix:/path"
	// (absolute after Load); "": there is none.
	Bind string
	// Actions is whether its page may reload, scale and recycle. Without effect
	// where others than this machine can connect.
	Actions bool
}

// checkAdmin checks the address of the admin listener.
func checkAdmin(address string) error {
	switch {
	case address == "":
		return nil
	case strings.HasPrefix(address, "fd://"):
		return wrong("", `must be "host:port" or "unix:/path", not %s`, quote(address))
	}
	return checkAddress(address)
}

// compareAdmin checks the admin listener against the rest.
func (l *loader) compareAdmin() {
	c := l.config
	if !l.sound("admin.bind", "admin.actions", "bind") {
		return
	}
	for _, address := range c.Bind {
		if same := canonical(address); c.Admin.Bind != "" && same == canonical(c.Admin.Bind) && !strings.HasSuffix(same, ":0") {
			l.fail(l.stronger("bind", "admin.bind"), wrong("give it an address of its own", "%s is in both bind and admin.bind", quote(address)))
			return
		}
	}
	switch {
	case !c.Admin.Actions:
	case c.Admin.Bind == "":
		l.warn("admin.actions has no effect while admin.bind is empty")
	case !local(c.Admin.Bind):
		l.warn("admin.actions has no effect: from %s others than this machine can connect; take 127.0.0.1 or a unix socket", c.Admin.Bind)
	}
}

// local reports whether only this machine can connect to an address that is
// well formed, as far as its spelling tells.
func local(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil || strings.HasPrefix(address, "unix:") {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}
