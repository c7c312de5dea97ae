//go:build linux

package socket

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("x", maxPath)
	for _, c := range []struct{ text, canonical, url string }{
		{"127.0.0.1:8000", "127.0.0.1:8000", "tcp://127.0.0.1:8000"},
		{"tcp://127.0.0.1:8000", "127.0.0.1:8000", "tcp://127.0.0.1:8000"},
		{"localhost:0", "localhost:0", "tcp://localhost:0"},
		{"LocalHost:080", "localhost:80", "tcp://localhost:80"},
		{":8000", ":8000", "tcp://:8000"},
		{"[::1]:80", "[::1]:80", "tcp://[::1]:80"},
		{"[0:0::1]:80", "[::1]:80", "tcp://[::1]:80"},
		{"[::]:80", "[::]:80", "tcp://[::]:80"},
		{"[::ffff:10.0.0.1]:80", "10.0.0.1:80", "tcp://10.0.0.1:80"},
		{"[fe80::1%eth0]:80", "[fe80::1%eth0]:80", "tcp://[fe80::1%eth0]:80"},
		{"unix:/run/a.sock", "unix:/run/a.sock", "unix:///run/a.sock"},
		{"unix:///run/a.sock", "unix:/run/a.sock", "unix:///run/a.sock"},
		{"unix:/run//x/../a.sock", "unix:/run/a.sock", "unix:///run/a.sock"},
		{"unix:a.sock", "unix:a.sock", "unix://a.sock"},
		{"unix:" + long, "unix:" + long, "unix://" + long},
		{"fd://3", "fd://3", "fd://3"},
		{"fd:3", "fd://3", "fd://3"},
	} {
		a, err := Parse(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if a.String() != c.canonical || a.URL() != c.url {
			t.Errorf("%q: %q, %q", c.text, a.String(), a.URL())
		}
		for _, again := range []string{a.String(), a.URL()} {
			if b, err := Parse(again); err != nil || b != a {
				t.Errorf("%q: reading back %q: %v, %v", c.text, again, b, err)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, message, hint string }{
		{"", "missing port", "unix:/path"},
		{"8000", "missing port", `":8000"`},
		{"localhost", "missing port", "host:port"},
		{"localhost:", "port", "host:port"},
		{"localhost:http", "port", "host:port"},
		{":65536", "65535", "host:port"},
		{":-1", "65535", "host:port"},
		{"::1:80", "too many colons", "[::1]:80"},
		{"[g::1]:80", "not an IPv6 address", "[::1]:80"},
		{"*:80", "not a host", `":80"`},
		{"a b:80", "not a host", "host:port"},
		{"http://localhost:80", "too many colons", "host:port"},
		{"/run/a.sock", "missing port", `"unix:/run/a.sock"`},
		{"unix:", "no path", "unix:/path"},
		{"unix:@name", "abstract", "file system"},
		{"unix:./@name", "abstract", "file system"},
		{"unix:/run/", "directory", "unix:/path"},
		{"unix:/.", "directory", "unix:/path"},
		{"unix:..", "directory", "unix:/path"},
		{"unix:/a\x00b", "NUL", "unix:/path"},
		{"unix:/" + strings.Repeat("x", maxPath), "bytes", "bytes"},
		{"fd://0", "standard stream", "fd://3"},
		{"fd://x", "not a file descriptor", "fd://3"},
		{"fd://99999999999", "not a file descriptor", "fd://3"},
		{"fd:", "not a file descriptor", "fd://3"},
		{"UniX:0", "not a host", "unix:/path"},
		{"tcp://fd:3", "not a host", "fd://3"},
	} {
		a, err := Parse(c.text)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%q: %v, %v", c.text, a, err)
			continue
		}
		if !strings.Contains(e.Error(), c.message) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%q: error %q, hint %q", c.text, e, e.Hint)
		}
	}
}

func TestIn(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"unix:a.sock", "unix:/srv/app/a.sock"},
		{"unix:../a.sock", "unix:/srv/a.sock"},
		{"unix:/run/a.sock", "unix:/run/a.sock"},
		{"127.0.0.1:80", "127.0.0.1:80"},
	} {
		a, err := Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.In("/srv/app").String(); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"127.0.0.1:8000", ":80", "[::1%x]:0", "unix:/a", "unix:///a", "fd://3", "tcp://x:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		for _, again := range []string{a.String(), a.URL()} {
			if b, err := Parse(again); err != nil || b != a {
				t.Fatalf("%q is %#v; reading back %q: %#v, %v", text, a, again, b, err)
			}
		}
	})
}
