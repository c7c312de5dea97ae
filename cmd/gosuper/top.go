//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gosuper/gosuper/supervisor/control"
)

// topEvery is how often gosuper top asks the master.
const topEvery = time.Second

// The sequences of ECMA-48 and xterm that gosuper top needs. Without autowrap a
// letter that is wider than it seems cannot spoil the lines below.
const (
	screenOn  = "\x1b[?1049h\x1b[?25l\x1b[?7l" // the other screen, no cursor, no autowrap
	screenOff = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	home      = "\x1b[H"
	restEmpty = "\x1b[K" // of a line
	reverse   = "\x1b[7m"
	normal    = "\x1b[0m"
)

// Control characters that a terminal in raw mode passes on.
const (
	ctrlC = 3
	ctrlD = 4
)

// newTop is gosuper top.
func (a *app) newTop() *cobra.Command {
	return a.newCommand(&cobra.Command{
		Use:   "top",
		Short: "Show what runs, live",
		Long:  "Show what runs, live: each worker, the requests it finishes per second, and the\noldest requests in flight. Press q to quit, and the letters in the last line to\nsort.",
		Args:  noArgs,
	}, func(ctx context.Context, m *control.Client, _ []string) error {
		in, out := int(os.Stdin.Fd()), int(os.Stdout.Fd())
		if !term.IsTerminal(in) || !term.IsTerminal(out) || os.Getenv("TERM") == "dumb" {
			return failure{errors.New("top needs a terminal"), "gosuper status prints the same once"}
		}
		v := &view{order: orders[0]}
		first := ask(ctx, m)
		if first.err != nil {
			return first.err // before there is nothing to be seen of it
		}
		v.update(first, time.Now())
		return watch(ctx, m, v)
	})
}

// reading is all there is to show, or why there is none.
type reading struct {
	status    control.Status
	incidents []control.Incident
	history   control.History
	err       error
}

// ask asks for all there is to show. A master that has not been upgraded yet may know
// nothing of incidents and of the last hour.
func ask(ctx context.Context, m *control.Client) (r reading) {
	ctx, cancel := soon(ctx)
	defer cancel()
	if r.status, r.err = m.Status(ctx, true); r.err != nil {
		return r
	}
	if all, err := m.Incidents(ctx); err == nil {
		r.incidents = all.Incidents
	}
	if h, err := m.History(ctx); err == nil {
		r.history = h
	}
	return r
}

// watch shows the view until somebody has seen enough. Whatever happens, the
// terminal is as before afterwards.
func watch(ctx context.Context, m *control.Client, v *view) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	before, err := term.MakeRaw(int(os.Stdin.Fd()))
	if err != nil {
		return fmt.Errorf("cannot read single keys: %w", err)
	}
	defer term.Restore(int(os.Stdin.Fd()), before)
	defer io.WriteString(os.Stdout, screenOff)
	if _, err := io.WriteString(os.Stdout, screenOn); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	readings := make(chan reading)
	go poll(ctx, m, readings)
	keys := make(chan byte)
	go readKeys(keys)
	for {
		if err := draw(v); err != nil {
			return err
		}
		select {
		case r := <-readings:
			if r.err != nil {
				v.trouble = r.err
			} else {
				v.update(r, time.Now())
			}
		case key, open := <-keys:
			if !open || key == 'q' || key == 'Q' || key == ctrlC || key == ctrlD {
				return nil
			}
			v.sortBy(key)
		case sig := <-signals:
			if sig != syscall.SIGWINCH && sig != syscall.SIGCONT {
				return nil
			}
			if sig == syscall.SIGCONT { // the shell had the terminal meanwhile
				if _, err := term.MakeRaw(int(os.Stdin.Fd())); err != nil {
					return fmt.Errorf("cannot read single keys: %w", err)
				}
				if _, err := io.WriteString(os.Stdout, screenOn); err != nil {
					return err
				}
			}
		}
	}
}

// poll asks again and again.
func poll(ctx context.Context, m *control.Client, to chan<- reading) {
	ticker := time.NewTicker(topEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		select {
		case to <- ask(ctx, m):
		case <-ctx.Done():
			return
		}
	}
}

// sequence matches what arrows and their like send: a control sequence, or an
// escape with one letter.
var sequence = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|O?.)?`)

// readKeys passes on the letters that are pressed, until the terminal is gone.
func readKeys(to chan<- byte) {
	defer close(to)
	var buffer [64]byte
	for {
		n, err := os.Stdin.Read(buffer[:])
		if err != nil {
			return
		}
		for _, key := range sequence.ReplaceAll(buffer[:n], nil) {
			to <- key
		}
	}
}

// draw writes the whole screen in one piece.
func draw(v *view) error {
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || width == 0 || height == 0 {
		width, height = 80, 24 // what a terminal that does not say is taken for
	}
	lines, heads := v.screen(width, height, time.Now())
	var b strings.Builder
	b.WriteString(home)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if heads[i] {
			line = reverse + line + normal
		}
		b.WriteString(line + restEmpty)
	}
	_, err = io.WriteString(os.Stdout, b.String())
	return err
}
