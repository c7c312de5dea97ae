//go:build !linux

package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
)

// Where there is no master gosuper checks configurations and explains: what it
// says is what it would say of a machine with Linux, as far as that needs none.

// supervise refuses, and so does the name of every command about a running master.
func (a *app) supervise(config.Source) error {
	return failure{
		errors.New("the master runs on Linux"),
		"a program built on package worker serves alone when it is started without gosuper; gosuper check, help and version work here",
	}
}

func (a *app) masterCommands(*cobra.Command) []*cobra.Command { return nil }

var masterTopics []topic

func (a *app) addTrial(*cobra.Command, func([]string) config.Source) {}

func (a *app) find(*config.Config) (chosen map[string]string, warnings []string, err error) {
	return nil, nil, nil
}

func openInput(path string) (*os.File, error) { return os.Open(path) }

func masterStatus(error) (code int, ok bool) { return 0, false }

func masterHint(error) (hint string, found error) { return "", nil }
