package config

import "testing"

func TestAddresses(t *testing.T) {
	tests := []struct{ address, want, hint string }{
		{"127.0.0.1:8000", "", ""},
		{":8000", "", ""},
		{":0", "", ""},
		{"0.0.0.0:65535", "", ""},
		{"[::1]:80", "", ""},
		{"[fe80::1%eth0]:80", "", ""},
		{"localhost:8000", "", ""},
		{"my-host_1.example:8000", "", ""},
		{"unix:/run/a.sock", "", ""},
		{"unix:///run/a.sock", "", ""},
		{"unix:a.sock", "", ""},
		{"fd://3", "", ""},

		{"", `must be "host:port", "[::1]:80", ":8000", "unix:/path" or "fd://3", not ""`, ""},
		{"8000", `must be "host:port", not a port alone`, `did you mean ":8000"?`},
		{"127.0.0.1", `has no port: "127.0.0.1"`, `did you mean "127.0.0.1:8000"?`},
		{"127.0.0.1:", `has no port: "127.0.0.1:"`, `did you mean "127.0.0.1:8000"?`},
		{"localhost", `has no port: "localhost"`, `did you mean "localhost:8000"?`},
		{"::1", `has no port: "::1"`, `did you mean "[::1]:8000"?`},
		{"[::1]", `has no port: "[::1]"`, `did you mean "[::1]:8000"?`},
		{"::1:80", `must have its IPv6 address in brackets: "::1:80"`, `did you mean "[::1]:80"?`},
		{"a:b:c", `must be "host:port", "[::1]:80", ":8000", "unix:/path" or "fd://3", not "a:b:c"`, ""},
		{"/run/a.sock", `must be "host:port", "unix:/path" or "fd://3", not "/run/a.sock"`, `did you mean "unix:/run/a.sock"?`},
		{"http://localhost:80/", `must not begin with "http://"`, `did you mean "localhost:80"?`},
		{"https://localhost", `must not begin with "https://"`, ""},
		{"localhost:http", `must have a number as its port, not "http"`, ""},
		{"localhost:-1", `must have a number as its port, not "-1"`, ""},
		{":65536", "must have a port from 0 to 65535, not 65536", ""},
		{":99999999999999999999", "must have a port from 0 to 65535, not 99999999999999999999", ""},
		{":080", `must have a port without leading zeros, not "080"`, "did you mean 80?"},
		{"*:80", `must be an address of this machine, not "*"`, `did you mean ":80"?`},
		{"256.0.0.1:80", `must have an IP address or a host name before the port, not "256.0.0.1"`, ""},
		{"[x]:80", `must have an IP address or a host name before the port, not "x"`, ""},
		{"[]:80", `must have an IP address or a host name before the port, not ""`, ""},
		{"a b:80", `must have an IP address or a host name before the port, not "a b"`, ""},
		{"unix:", `must be "unix:" and a path`, ""},
		{"unix:@a", "must be the path of a unix socket: abstract sockets have no permissions", "name a path"},
		{"unix:/run/", `must be the path of a socket, not of a folder: "/run/"`, ""},
		{"fd://2", `must be a descriptor from 3 on, not "fd://2": the first three are stdin, stdout and stderr`, ""},
		{"fd://x", `must be "fd://" and a descriptor, not "fd://x"`, ""},
		{"fd://", `must be "fd://" and a descriptor, not "fd://"`, ""},
		{"fd://99999999999", `must be "fd://" and a descriptor, not "fd://99999999999"`, ""},
	}
	for _, test := range tests {
		var msg, hint string
		for _, p := range problems(checkAddress(test.address)) {
			msg, hint = p.msg, p.hint
		}
		if msg != test.want || hint != test.hint {
			t.Errorf("%q: %s (%s)", test.address, msg, hint)
		}
	}
}

func TestAddressesTwice(t *testing.T) {
	tests := []struct {
		a, b  string
		twice bool
	}{
		{":80", ":80", true},
		{"localhost:80", "LOCALHOST:80", true},
		{"[::1]:80", "[0:0::1]:80", true},
		{"127.0.0.1:80", "[::ffff:127.0.0.1]:80", true},
		{"unix:/a", "unix:///a", true},
		{"fd://3", "fd://3", true},
		{":0", ":0", false},
		{":80", ":81", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"unix:/a", "unix:/A", false},
	}
	for _, test := range tests {
		if twice := checkAddresses([]string{test.a, test.b}) != nil; twice != test.twice {
			t.Errorf("%s and %s: %t", test.a, test.b, twice)
		}
	}
}
