package main

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gosuper/gosuper/config"
)

// topic is a page of gosuper help TOPIC.
type topic struct {
	name, short string
	text        func() string
}

// topics are made from the code that they describe.
var topics = slices.Concat([]topic{{"config", "every key of the configuration", config.Reference}}, masterTopics, []topic{
	{"operating", "what a reload, a stop and an upgrade do; the control socket; exit status", func() string { return operatingText }},
	{"protocol", "what a worker is given, and what it may say", func() string { return protocolText }},
	{"security", "what is promised against workers and neighbours, and what is not", func() string { return securityText }},
	{"words", "what worker, slot, spare, place, generation and plain mean", func() string { return wordsText }},
})

// wordsText explains what stands in the log and in gosuper status.
const wordsText = `  worker       one process that runs COMMAND; its id is never given again
  slot         what a worker fills, 0 to workers-1; its replacement fills it too
  spare        a worker that is ready and accepts nothing: it has no slot until
               it takes at once that of a worker that is gone (spares)
  place        0 to workers+spares+surge-1, of no two living workers: for a port
  generation   which configuration it has: 1 at first, one more by each reload
               that is not rolled back
  cooperating  it speaks the worker protocol: by package worker in Go, as
               python -m gosuper or MODULE:ATTR, as node --import
               gosuper/register or by gosuper.listen, or as a front of gosuper
               (worker_class = "proxy")
  plain        any other program that serves the sockets it inherits
`

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
	cmd := &cobra.Command{
		Use:   "help [TOPIC [KEY]]",
		Short: "Explain a topic, such as config",
		Long:  "Explain gosuper, one of its commands, or a topic:\n" + list.String() + "\n\nA KEY after config narrows it to that key, or to a table of them.",

		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			switch {
			case len(args) == 0:
				return valid, cobra.ShellCompDirectiveNoFileComp
			case len(args) == 1 && args[0] == "config":
				return keyNames(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
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
			if len(args) == 2 && args[0] == "config" {
				return a.explain(args[1])
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
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if e, ok := errors.AsType[*pflag.NotExistError](err); ok && isForMaster(cmd, err) {
			return usageError{err, "without dashes: gosuper help config " + e.GetSpecifiedName()}
		}
		return flagError(cmd, err)
	})
	return cmd
}

// explain is gosuper help config KEY.
func (a *app) explain(key string) error {
	text, err := config.Explain(key)
	if e, ok := errors.AsType[*config.Error](err); ok {
		return usageError{errors.New(e.Short()), cmp.Or(e.Hint, "gosuper help config explains every key")}
	}
	_, err = io.WriteString(a.stdout, text)
	return err
}

// keyNames are the keys of the configuration.
func keyNames() []string {
	var names []string
	for _, k := range config.Keys() {
		names = append(names, k.Name)
	}
	return names
}

// protocolText is the package comment of worker/protocol; a test keeps it so.
//
//go:embed protocol.txt
var protocolText string

//go:embed operating.txt
var operatingText string

//go:embed security.txt
var securityText string
