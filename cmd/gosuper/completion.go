package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gosuper/gosuper/config"
)

const completionLong = `Print a script by which a shell completes commands, flags and their values.

  bash   gosuper completion bash >~/.local/share/bash-completion/completions/gosuper
  zsh    gosuper completion zsh >"${fpath[1]}/_gosuper"
  fish   gosuper completion fish >~/.config/fish/completions/gosuper.fish

bash needs its package bash-completion. The scripts ask gosuper itself, so they
stay right when it is updated.`

// newCompletion is gosuper completion.
func (a *app) newCompletion(root *cobra.Command) *cobra.Command {
	scripts := map[string]func() error{
		"bash": func() error { return root.GenBashCompletionV2(a.stdout, true) },
		"zsh":  func() error { return root.GenZshCompletion(a.stdout) },
		"fish": func() error { return root.GenFishCompletion(a.stdout, true) },
	}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "Print a script for a shell",
		Long:      completionLong,
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || scripts[args[0]] == nil {
				return usageError{fmt.Errorf("completion is for one shell: bash, zsh or fish"), "see gosuper completion --help"}
			}
			return scripts[args[0]]()
		},
	}
}

// word matches what the description of a kind of value puts in quotes as a word
// of its own: "auto", "debug".
var word = regexp.MustCompile(`"([a-z]+)"`)

// completeFlags says for each flag what its values may be, as far as the keys of
// the configuration know. What is no path is no file either.
func completeFlags(cmd *cobra.Command) {
	keys := map[string]config.Key{}
	for _, k := range config.Keys() {
		if k.Flag != "" {
			keys[k.Flag] = k
		}
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		k, known := keys[f.Name]
		if !known || k.Bool {
			return
		}
		var values []string
		for _, m := range word.FindAllStringSubmatch(k.Kind, -1) {
			values = append(values, m[1])
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		switch {
		case k.Placeholder == "DIR":
			directive = cobra.ShellCompDirectiveFilterDirs
		case strings.Contains(k.Placeholder, "FILE") || strings.Contains(k.Placeholder, "PATH"):
			directive = cobra.ShellCompDirectiveDefault
		}
		// It only fails for a flag that does not exist.
		_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(values, directive))
	})
}

// completeArguments says what follows the flags of a command that ends its own
// ones at COMMAND: a program, then files, whatever else it takes.
func completeArguments(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}
