//go:build linux

// Package signals brings a master the signals that it is sent, and tells those apart
// that a terminal sends, by which it means something else than people do.
package signals

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/gosuper/gosuper/supervisor/internal/terminal"
)

// capacity is how many signals wait for the master: far more than there are kinds of
// them that people send in the time of a step.
const capacity = 64

// ignored are the signals that would end a process that does not expect them.
// SIGABRT keeps its dump of all stacks, and the signals of faults and of job
// control their meaning. 34 is SIGRTMIN.
var ignored = []os.Signal{
	syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGIO, syscall.SIGPIPE,
	syscall.SIGPWR, syscall.SIGSTKFLT, syscall.Signal(34),
}

// fromTerminal are the signals that a terminal sends, too.
var fromTerminal = []syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN, syscall.SIGTTOU}

// A Source delivers signals. The zero value delivers none, and is for tests.
type Source struct {
	notify     func(to chan os.Signal, wanted []os.Signal) (stop func())
	byTerminal func(*terminal.Terminal, os.Signal) bool
}

// System is the source of the signals to this process.
func System() Source { return Source{notify, (*terminal.Terminal).Sent} }

// notify directs the signals to the channel; stop ends that. After it nothing stops
// what is written to a terminal last.
func notify(to chan os.Signal, wanted []os.Signal) (stop func()) {
	signal.Ignore(ignored...)
	signal.Notify(to, wanted...)
	terminal.Watch(fromTerminal...)
	return func() {
		signal.Stop(to)
		signal.Ignore(syscall.SIGTTOU)
	}
}

// Signals are those to one master. They are of use after [Signals.Attach].
type Signals struct {
	// C is where they arrive.
	C chan os.Signal

	source   Source
	terminal *terminal.Terminal
	stop     func() // nil: none are delivered
}

// New returns signals that are not listened to.
func New() *Signals { return &Signals{C: make(chan os.Signal, capacity)} }

// Attach says where the signals come from. It looks for the terminal, which has to be
// before anybody listens.
func (s *Signals) Attach(from Source) { s.source, s.terminal = from, terminal.Find() }

// Listen has signals delivered: the wanted ones, and SIGCHLD.
func (s *Signals) Listen(wanted ...os.Signal) {
	if s.source.notify != nil {
		s.stop = s.source.notify(s.C, append([]os.Signal{syscall.SIGCHLD}, wanted...))
	}
}

// Stop ends the delivery.
func (s *Signals) Stop() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// During has a goroutine do what may take long, before there is a loop. Once a signal
// comes that stops, the context is done and stopped is true; over is closed when the
// goroutine is done. Other signals are kept for the loop.
func (s *Signals) During(do func(context.Context), stops func(os.Signal) bool) (over <-chan struct{}, stopped bool) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(ctx)
	}()
	defer cancel()
	var later []os.Signal
	for {
		select {
		case <-done:
			for _, sig := range later {
				s.C <- sig
			}
			return done, false
		case sig := <-s.C:
			if stops(sig) {
				return done, true
			}
			if len(later) < cap(s.C)/2 { // there is room for those that come meanwhile
				later = append(later, sig)
			}
		}
	}
}

// Pending takes those that have arrived and were not handled, but for SIGCHLD: whoever
// goes on looks for children anyway.
func (s *Signals) Pending() (pending []syscall.Signal) {
	for {
		select {
		case sig := <-s.C:
			if sig, ok := sig.(syscall.Signal); ok && sig != syscall.SIGCHLD {
				pending = append(pending, sig)
			}
		default:
			return pending
		}
	}
}

// FromTerminal says whether it was the terminal that sent the last signal of the kind.
func (s *Signals) FromTerminal(sig os.Signal) bool {
	return s.source.byTerminal != nil && s.source.byTerminal(s.terminal, sig)
}

// End says whether a signal is one that ends the master.
func (s *Signals) End(sig os.Signal) bool {
	return slices.Contains([]os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT}, sig) ||
		sig == os.Signal(syscall.SIGHUP) && s.FromTerminal(sig) && !s.OutlivesTerminal()
}

// OutlivesTerminal says whether the master was started to outlive its terminal, as by
// nohup(1).
func (s *Signals) OutlivesTerminal() bool { return s.terminal.Forgives() }

// OutliveTerminal makes that so: another image of this process was started like that.
func (s *Signals) OutliveTerminal() { s.terminal.Forgive() }
