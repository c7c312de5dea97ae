package main

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor"
	"github.com/gosuper/gosuper/supervisor/admin"
)

// topics are the pages of gosuper help TOPIC. They are made from the code that
// they describe.
var topics = []struct {
	name, short string
	text        func() string
}{
	{"config", "every key of the configuration", config.Reference},
	{"signals", "what signals do to the master, and which ones workers get", signalsText},
	{"metrics", "what /metrics of the admin listener shows", admin.Reference},
	{"protocol", "what a worker is given, and what it may say", func() string { return protocolText }},
}

// newHelp is gosuper help, for commands and topics.
func (a *app) newHelp(root *cobra.Command) *cobra.Command {
	var list, names strings.Builder
	for _, t := range topics {
		fmt.Fprintf(&list, "\n  %-10s %s", t.name, t.short)
		names.WriteString(", " + t.name)
	}
	var valid []string
	for _, t := range topics {
		valid = append(valid, t.name)
	}
	for _, c := range root.Commands() {
		if !c.Hidden {
			valid = append(valid, c.Name())
		}
	}
	return &cobra.Command{
		Use:   "help [TOPIC]",
		Short: "Explain a topic, such as config",
		Long:  "Explain gosuper, one of its commands, or a topic:\n" + list.String(),

		ValidArgs: valid,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return root.Help()
			}
			for _, t := range topics {
				if len(args) == 1 && t.name == args[0] {
					_, err := io.WriteString(a.stdout, strings.TrimRight(t.text(), "\n")+"\n")
					return err
				}
			}
			cmd, rest, err := root.Find(args)
			if err != nil || cmd == root || len(rest) > 0 {
				return usageError{
					fmt.Errorf("no help for %q", strings.Join(args, " ")),
					"topics are " + strings.TrimPrefix(names.String(), ", "),
				}
			}
			return cmd.Help()
		},
	}
}

// protocolText is the package comment of worker/protocol; a test keeps it so.
//
//go:embed protocol.txt
var protocolText string

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
