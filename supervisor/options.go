//go:build linux

package supervisor

import (
	"fmt"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/develop"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// Options is what a master needs to run. All fields but Reconfigure and Logs
// are required.
type Options struct {
	// Config is the configuration to start with.
	Config *config.Config
	// Warnings are what Load had to say about it.
	Warnings []string
	// Reconfigure loads the configuration again, for a reload; nil: a reload
	// replaces the workers and changes nothing. It may take long, and may be called
	// by several goroutines at a time.
	Reconfigure func() (*config.Config, []string, error)
	// Environ is the environment of the master, from which workers get theirs.
	Environ []string
	// Log gets one line for each step in the life of master and workers.
	Log *zap.Logger
	// Logs moves the log when the configuration says so; nil: it stays.
	Logs Logs
	// Streams are where the output of workers goes.
	Streams Streams
	// Version is told to whoever asks.
	Version string
	// Program is how this program was started, and what an upgrade in place
	// starts; the zero value: there are no upgrades.
	Program Program
	// Inheritance is what the image before this one left, and Config is its
	// configuration then; nil: there was none.
	Inheritance *Inheritance
}

// prepare sees to what a master needs of this process and of the system before it
// begins: workers are kept out of its memory and its descriptors, and what is to be
// built first is.
func (o *Options) prepare() error {
	if err := process.Conceal(); err != nil {
		o.Log.Warn("workers without a user of their own can read and trace the master", zap.Error(err))
	}
	if o.Inheritance != nil {
		return nil
	}
	if err := process.CheckSystem(); err != nil {
		return public(err)
	}
	if err := develop.BuildFirst(o.Config, developing(*o)); err != nil {
		return public(err)
	}
	return nil
}

// Logs is the destination of the log. Its methods are called by one goroutine at a
// time and may take as long as the file system does.
type Logs interface {
	// Apply puts other settings into force; on error the old ones stay.
	Apply(config.Log) error
	// Reopen opens the log file anew, after it was renamed.
	Reopen() error
	// Waiting is how many lines nobody has taken yet.
	Waiting() int
}

// Findings are what a configuration means on this machine.
type Findings struct {
	// Chosen is what was chosen where a key leaves it to gosuper, and why, by the
	// name of the key.
	Chosen map[string]string
	// Warnings say what does not fit.
	Warnings []string
}

// Check says whether a master could start with the configuration, as far as
// that can be told without binding an address. The error is a *config.Error.
func Check(c *config.Config) (Findings, error) {
	r, err := resolve(c)
	if err != nil {
		return Findings{}, err
	}
	found := Findings{Chosen: map[string]string{}, Warnings: r.memory.Warnings}
	if r.resolved.Args != nil {
		found.Chosen["command"] = strings.Join(r.resolved.Args, " ")
	}
	if r.auto != "" {
		found.Chosen["workers"] = strconv.Itoa(r.workers) + ": " + r.auto
	}
	if r.tight != "" {
		found.Warnings = append([]string{r.tight}, found.Warnings...)
	}
	if r.memory.Why != "" {
		found.Chosen["max_worker_memory_hard"] = limitText(r.memory.Hard) + ": " + r.memory.Why
	}
	if server, idle := c.PlainServer(), c.Unheeded(); server != "" && len(idle) > 0 {
		found.Warnings = append(found.Warnings, fmt.Sprintf("settings have no effect, as %s does not speak the worker protocol by itself: %s; use its own, or see gosuper help protocol",
			server, strings.Join(idle, ", ")))
	}
	return found, nil
}
