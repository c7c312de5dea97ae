package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// foreignCommands are words that other supervisors, and versions to come, have as
// commands, and what to do here. Some of them are programs too, and one that is
// taken for COMMAND does harm: ps is started again and again, shutdown obeys.
var foreignCommands = map[string]string{
	"start":    "gosuper [flags] COMMAND starts it, or gosuper -c FILE, in the foreground; in the background systemd does: examples/systemd",
	"run":      "leave the word out: gosuper [flags] COMMAND",
	"up":       "leave the word out: gosuper [flags] COMMAND",
	"restart":  "gosuper reload replaces all workers; gosuper upgrade goes on with a new version of gosuper itself",
	"ps":       "gosuper status shows the workers, gosuper top does so live",
	"list":     "gosuper status shows the workers, gosuper top does so live",
	"ls":       "gosuper status shows the workers, gosuper top does so live",
	"show":     "gosuper status shows the workers, gosuper check the configuration in force",
	"monit":    "gosuper top shows the workers live",
	"kill":     "gosuper stop ends it all, with --quick at once; gosuper recycle ID replaces one worker",
	"down":     "gosuper stop ends it all, with --quick at once",
	"quit":     "gosuper stop ends it all, with --quick at once",
	"shutdown": "gosuper stop ends it all, with --quick at once",
	"delete":   "gosuper scale -1 takes a worker away, gosuper stop all of them",
	"log":      "the log goes to stderr, or to the file of --error-logfile; under systemd: journalctl -u UNIT",
	"logs":     "the log goes to stderr, or to the file of --error-logfile; under systemd: journalctl -u UNIT",
	"tail":     "the log goes to stderr, or to the file of --error-logfile; under systemd: journalctl -u UNIT",
	"init":     "it needs no preparation: gosuper [flags] COMMAND; gosuper check prints a supervisor.toml with every key",
	"config":   "gosuper check prints the configuration in force, gosuper help config explains every key",
	"test":     "gosuper check validates the configuration and prints it",
	"validate": "gosuper check validates the configuration and prints it",
}

// foreignCommand is the mistake of a first word that is a command elsewhere.
// After -- it is a program.
func foreignCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || cmd.ArgsLenAtDash() == 0 {
		return nil
	}
	word := args[0]
	hint, known := foreignCommands[word]
	if !known {
		return nil
	}
	if len(args) > 1 && (word == "run" || word == "up" || word == "start") {
		hint = "leave the word out: gosuper " + strings.Join(args[1:], " ")
	}
	return usageError{fmt.Errorf("gosuper has no command %q", word), hint + "; a program of that name is run by gosuper [flags] -- " + word}
}
