package config

import (
	"strings"
	"testing"
)

func TestNameOf(t *testing.T) {
	for program, want := range map[string]string{
		"./agent-server":              "agent-server",
		"/opt/app/bin/server.sh":      "server.sh",
		"/":                           "gosuper",
		"..":                          "gosuper",
		"bin/a\x1b[2J":                "a\ufffd[2J",
		strings.Repeat("x", 70):       strings.Repeat("x", 64),
		"x" + strings.Repeat("é", 40): "x" + strings.Repeat("é", 31),
	} {
		if got := nameOf(program); got != want {
			t.Errorf("%q: %q, want %q", program, got, want)
		}
		if err := checkName(nameOf(program)); err != nil {
			t.Errorf("%q: %v", program, err)
		}
	}
}
