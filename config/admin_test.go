package config

import (
	"slices"
	"strings"
	"testing"
)

func TestAdmin(t *testing.T) {
	tests := []struct {
		file    string
		want    string   // the error
		warning []string // or these
	}{
		{file: `bind = "127.0.0.1:9090"`},
		{file: `bind = "unix:/run/admin.sock"` + "\nactions = true"},
		{file: `bind = "localhost:9090"` + "\nactions = true"},
		{file: `bind = "127.0.0.1:0"` + "\nactions = true"},
		{file: `bind = "9090"`, want: `FILE:4: admin.bind: must be "host:port", not a port alone (did you mean ":9090"?)`},
		{file: `bind = "fd://3"`, want: `FILE:4: admin.bind: must be "host:port" or "unix:/path", not "fd://3"`},
		{file: `bind = "127.0.0.1:8000"`, want: `FILE:4: admin.bind: "127.0.0.1:8000" is in both bind and admin.bind (give it an address of its own)`},
		{file: `actions = 1`, want: "FILE:4: admin.actions: must be true or false, not the number 1"},
		{file: `actions = "true"`, want: `FILE:4: admin.actions: must be true or false, not the string "true"`},
		{file: `actions = true`, warning: []string{"admin.actions has no effect while admin.bind is empty"}},
		{file: `bind = ":9090"` + "\nactions = true", warning: []string{
			"admin.actions has no effect: from :9090 others than this machine can connect; take 127.0.0.1 or a unix socket",
		}},
	}
	for _, test := range tests {
		file := write(t, "s.toml", "command = [\"a\"]\nbind = [\"127.0.0.1:8000\", \"127.0.0.1:0\"]\n[admin]\n"+test.file+"\n")
		_, warnings, err := Load(Source{File: file})
		var got string
		if err != nil {
			got = strings.ReplaceAll(err.Error(), file, "FILE")
		}
		if got != test.want {
			t.Errorf("%s\nis %q\nnot %q", test.file, got, test.want)
		}
		if !slices.Equal(warnings, test.warning) {
			t.Errorf("%s\nwarns %q\nnot %q", test.file, warnings, test.warning)
		}
	}
}
