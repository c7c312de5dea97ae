package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gosuper/gosuper/config"
)

// applicationFlags are flags of gosuper that mean something else after a Python
// application, where they are options of it, as they are for uvicorn.
var applicationFlags = []string{"env-file", "log-level", "help"}

// lateFlags takes flags of gosuper that follow a Python application, where Gunicorn
// takes them too, and returns the command without them. Other programs have flags of
// their own, and so has what follows "--": nothing after it is gosuper's, be it
// before or behind the application.
func lateFlags(cmd *cobra.Command, command []string) ([]string, error) {
	if len(command) == 0 || cmd.ArgsLenAtDash() == 0 || !config.NamesApplication(command[0]) {
		return command, nil
	}
	rest, ours := command[:1:1], []string{}
	for words := command[1:]; len(words) > 0; words = words[1:] {
		word := words[0]
		if word == "--" {
			rest = append(rest, words[1:]...)
			break
		}
		if name, _, _ := strings.Cut(word, "="); name == "--host" || name == "--port" {
			return nil, usageError{fmt.Errorf("%s is for an application that runs without gosuper", name), "the address is -b HOST:PORT, or bind in supervisor.toml"}
		}
		if name, _, _ := strings.Cut(word, "="); name == "--fd" || name == "--uds" {
			return nil, usageError{fmt.Errorf("%s belongs to the supervisor", name), "leave it out, the application gets the sockets by itself; their address is -b HOST:PORT or -b unix:/path, or bind in supervisor.toml"}
		}
		f, whole := flagOf(cmd.Flags(), word)
		if f == nil || slices.Contains(applicationFlags, f.Name) {
			rest = append(rest, word)
			continue
		}
		ours = append(ours, word)
		if !whole && f.NoOptDefVal == "" && len(words) > 1 {
			words = words[1:]
			ours = append(ours, words[0])
		}
	}
	if err := cmd.Flags().Parse(ours); err != nil {
		return nil, flagError(cmd, err)
	}
	return rest, nil
}

// flagOf returns the flag that a word on the command line is, nil if it is none, and
// whether its value is in the same word.
func flagOf(flags *pflag.FlagSet, word string) (f *pflag.Flag, whole bool) {
	if name, long := strings.CutPrefix(word, "--"); long {
		name, _, whole = strings.Cut(name, "=")
		return flags.Lookup(name), whole
	}
	if letters, short := strings.CutPrefix(word, "-"); short && letters != "" {
		return flags.ShorthandLookup(letters[:1]), len(letters) > 1
	}
	return nil, false
}
