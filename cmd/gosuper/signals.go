//go:build linux

package main

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/gosuper/gosuper/supervisor"
	"github.com/gosuper/gosuper/supervisor/admin"
)

// masterTopics are the pages about the master.
var masterTopics = []topic{
	{"signals", "what signals do to the master, and which ones workers get", signalsText},
	{"metrics", "what /metrics of the admin listener shows", admin.Reference},
}

//go:embed signals.txt
var signalsTail string

// signalsText is the table of signals to the master, and what workers get.
func signalsText() string {
	var b strings.Builder
	b.WriteString("Signals to the master:\n\n")
	for _, s := range supervisor.Signals() {
		fmt.Fprintf(&b, "  %-6s %s\n", s.Name, wrap(s.Effect, 71, "         "))
	}
	b.WriteString(signalsTail)
	return b.String()
}
