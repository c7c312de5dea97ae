//go:build linux

package proxy

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Name is the argv[0] of a front. Flags follow, then the file of the program, and its
// argv as it was configured.
const Name = "gosuper: proxy"

// Where a program listens.
const (
	toPort = "port"
	toUnix = "unix"
)

// options are what the master says to a front.
type options struct {
	to             string        // toPort or toUnix
	readyPath      string        // answers 2xx once the program is ready; "": it accepts
	connectTimeout time.Duration // of a connection to the program
	startupTimeout time.Duration // after which the master ends a front that is not ready
	limitAS        uint64        // address space of each process of the program in bytes; 0: no limit
	successor      bool          // another front may start before this one is gone
	stop, abort    syscall.Signal
	env            []string // names of variables with placeholders
	path           string   // of the program's file
	argv           []string // with placeholders
}

// parse reads the arguments of a front, but for argv[0].
func parse(args []string) (options, error) {
	var o options
	var stop, abort, env string
	flags := flag.NewFlagSet(Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.to, "to", toPort, "")
	flags.StringVar(&o.readyPath, "ready_path", "", "")
	flags.DurationVar(&o.connectTimeout, "connect_timeout", 5*time.Second, "")
	flags.DurationVar(&o.startupTimeout, "startup_timeout", time.Minute, "")
	flags.Uint64Var(&o.limitAS, "limit_as", 0, "")
	flags.BoolVar(&o.successor, "successor", false, "")
	flags.StringVar(&stop, "stop_signal", "SIGTERM", "")
	flags.StringVar(&abort, "abort_signal", "SIGABRT", "")
	flags.StringVar(&env, "env", "", "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() < 2 {
		return o, errors.New("there is no program")
	}
	for name, sig := range map[string]*syscall.Signal{stop: &o.stop, abort: &o.abort} {
		if *sig = unix.SignalNum(name); *sig == 0 {
			return o, fmt.Errorf("there is no signal %q", name)
		}
	}
	if o.to != toPort && o.to != toUnix {
		return o, fmt.Errorf("a program listens on a %s or a %s socket, not %q", toPort, toUnix, o.to)
	}
	if env != "" {
		o.env = strings.Split(env, ",")
	}
	o.path, o.argv = flags.Arg(0), flags.Args()[1:]
	return o, nil
}
