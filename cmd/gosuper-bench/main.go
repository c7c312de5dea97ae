//go:build linux

// Command gosuper-bench measures what gosuper promises beside what it would
// replace: the same scenario with gosuper, with the same server as bare
// processes on one socket, and with Gunicorn and Uvicorn where a virtual
// environment has them; with --python, gosuper's package for Python beside all other
// servers for it, and with --node that for Node beside node:cluster and pm2. The targets take turns, so that a noisy machine is noisy for all of
// them, and one Markdown table says how they compare.
//
// A scenario (scenario.go) is run on a target (target.go), which is one or more
// processes on a listening socket that this program has made, with a free port of
// 127.0.0.1. A run gives a sample, which is a list of figures; the report
// (report.go) makes medians, quartiles and ratios of them. The client is package
// load, which never sends a request again and counts every one that was lost. A
// latency ends when the answer has arrived, and not when this program gets to read it:
// it shares the processors with the targets, and how long it waits for one, and which
// target takes it from it, says little about clients on other machines. The scenarios
// that keep all processors busy have that as a figure of its own.
//
// It runs on Linux, since it reads CPU time, memory and wake-ups from /proc.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// The exit statuses.
const (
	exitFailure = 1 // a target did not start, or gosuper lost requests that it must not lose
	exitUsage   = 2
)

// Targets die with the thread that started them, so it has to be one that lives as
// long as this process.
func init() { runtime.LockOSThread() }

func main() {
	// Processes that lose their parent become children of this one, which can then
	// find and end them.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "gosuper-bench: error: cannot become the reaper of orphans:", err)
		os.Exit(exitFailure)
	}
	err := newCommand(os.Stdout, os.Stderr).Execute()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "gosuper-bench: error:", err)
	if _, usage := errors.AsType[usageError](err); usage {
		fmt.Fprintln(os.Stderr, "gosuper-bench: hint: see gosuper-bench --help")
		os.Exit(exitUsage)
	}
	os.Exit(exitFailure)
}

// usageError is a mistake on the command line.
type usageError struct{ error }

// options are the flags.
type options struct {
	gosuper     string        // path of the program
	agent       string        // path of the example agent
	venv        string        // folder of a virtual environment; "": no Python
	python      bool          // the targets are servers of Python alone
	node        bool          // the targets are the same agent for Node alone
	modules     string        // folder where npm has installed gosuper for that
	app         string        // of those: "asgi" or "fastapi"
	rounds      int           // of steady; the scenarios that start their targets anew have a third
	duration    time.Duration // of one run; longer where a scenario needs it
	connections int           // at the same time
	fleet       int           // workers of the large fleet in idle
	against     []string      // names of the targets that gosuper is compared with; empty: all
	variants    []string      // NAME=VALUE, each a gosuper of its own with that in its environment
}

func newCommand(stdout, stderr io.Writer) *cobra.Command {
	var o options
	var list strings.Builder
	for _, s := range scenarios {
		fmt.Fprintf(&list, "\n  %-9s  %s", s.name, s.about)
	}
	cmd := &cobra.Command{
		Use:   "gosuper-bench [flags] [SCENARIO...]",
		Short: "Compare gosuper with bare processes, Gunicorn and Uvicorn",
		Long: "Run scenarios, all but hopreload and soak if none is named, on gosuper and what it would\n" +
			"replace, in turns, and print one Markdown table.\n\nScenarios:" + list.String(),
		Example: "  go build -o bin/ ./cmd/gosuper ./cmd/gosuper-bench ./examples/agent-server\n" +
			"  bin/gosuper-bench --venv .venv --rounds 15 --duration 2s",
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, names []string) error {
			chosen, err := choose(names)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return o.run(ctx, chosen, stdout, stderr)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	beside := filepath.Dir(self())
	flags.StringVar(&o.gosuper, "gosuper", filepath.Join(beside, "gosuper"), "the gosuper `program`")
	flags.StringVar(&o.agent, "agent", filepath.Join(beside, "agent-server"), "the example agent's `program`")
	flags.StringVar(&o.venv, "venv", os.Getenv("BENCH_VENV"), "virtual environment with gunicorn and uvicorn, a `folder`; default $BENCH_VENV")
	flags.BoolVar(&o.python, "python", false, "compare servers for Python: gosuper with the package gosuper, without and with preload, and each that the virtual environment has")
	flags.BoolVar(&o.node, "node", false, "compare what runs servers for Node: gosuper with the package gosuper, node:cluster, and pm2 if it is installed")
	flags.StringVar(&o.modules, "modules", os.Getenv("BENCH_NODE"), "where npm has installed the package gosuper for --node, a `folder`; default $BENCH_NODE")
	flags.StringVar(&o.app, "app", "fastapi", "the application that those serve, `asgi|fastapi`")
	flags.IntVar(&o.rounds, "rounds", 3, "pairs of runs in steady; a third of it in the other scenarios")
	flags.DurationVar(&o.duration, "duration", time.Second, "length of one run, as far as the scenario does not need more")
	flags.IntVar(&o.connections, "connections", 16, "connections at the same time")
	flags.IntVar(&o.fleet, "fleet", 256, "workers of the large fleet in idle")
	flags.StringSliceVar(&o.against, "against", nil, "compare only with these targets, as the table's `columns` name them; default all")
	flags.StringArrayVar(&o.variants, "variant", nil, "compare also with gosuper that has `NAME=VALUE` in its environment, which workers inherit; may be repeated")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.SetHelpCommand(&cobra.Command{Hidden: true})
	cmd.AddCommand(newAgent(), newNginx(), newRolling())
	return cmd
}

// choose returns the scenarios of these names, without names all that need none.
func choose(names []string) ([]scenario, error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.named }), nil
	}
	var chosen []scenario
	for _, name := range names {
		n := len(chosen)
		for _, s := range scenarios {
			if s.name == name {
				chosen = append(chosen, s)
			}
		}
		if len(chosen) == n {
			return nil, usageError{fmt.Errorf("no scenario %q", name)}
		}
	}
	return chosen, nil
}

// run runs the scenarios and prints the table.
func (o options) run(ctx context.Context, chosen []scenario, stdout, stderr io.Writer) error {
	if o.rounds < 1 || o.duration <= 0 || o.connections < 2 || o.fleet < 1 {
		return usageError{errors.New("rounds and fleet are at least 1, connections at least 2, and a duration is above 0")}
	}
	for _, v := range o.variants {
		if name, _, found := strings.Cut(v, "="); !found || name == "" {
			return usageError{fmt.Errorf("variant %q is not NAME=VALUE", v)}
		}
	}
	for flag, path := range map[string]string{"gosuper": o.gosuper, "agent": o.agent} {
		if unix.Access(path, unix.X_OK) != nil {
			return usageError{fmt.Errorf("no program %s: build it, or name it with --%s", path, flag)}
		}
	}
	if o.app != "asgi" && o.app != "fastapi" {
		return usageError{fmt.Errorf("no application %q: asgi or fastapi", o.app)}
	}
	if o.python && o.venv == "" {
		return usageError{errors.New("--python needs --venv, a virtual environment with gosuper[uvicorn]")}
	}
	if o.node && (o.python || o.modules == "") {
		return usageError{errors.New("--node needs --modules, where npm has installed ./worker/node, and goes without --python")}
	}
	b, err := newBench(o, stderr)
	if err != nil {
		return err
	}
	defer b.close()
	chosen = slices.DeleteFunc(chosen, func(s scenario) bool { return b.targets(s) == nil })
	if err := b.known(chosen); err != nil {
		return err
	}
	var r report
	for _, s := range chosen {
		if err := b.play(ctx, s, &r); err != nil {
			return fmt.Errorf("%s: %w", s.name, cmp.Or(context.Cause(ctx), err))
		}
	}
	if _, err := io.WriteString(stdout, r.markdown()); err != nil {
		return err
	}
	return r.verdict()
}

// self is the path of this program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
