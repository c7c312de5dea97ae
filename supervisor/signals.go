//go:build linux

package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
)

// A Signal is one row of the table of signals to the master.
type Signal struct {
	Signal syscall.Signal
	Name   string
	Effect string
}

// Signals returns what each signal to the master does, for people to read.
func Signals() []Signal {
	return []Signal{
		{syscall.SIGHUP, "HUP", "reload: read the configuration, try one new worker, then replace the rest one by one; rolled back if it cannot become ready. Where it comes because the terminal is gone: as TERM, or nothing if HUP was ignored at the start (nohup)"},
		{syscall.SIGTERM, "TERM", "graceful stop: after the delay of [shutdown], no new connections; requests in flight finish within graceful_timeout; exit 0"},
		{syscall.SIGINT, "INT", "quick stop, also during a graceful one: the stop signal to whoever had none, SIGKILL after 1s; exit 0"},
		{syscall.SIGQUIT, "QUIT", "as INT"},
		{syscall.SIGTTIN, "TTIN", "one worker more, never above " + strconv.Itoa(config.MaxWorkers) + "; kept over a reload unless the configured workers changed. What the kernel sends to the background of a terminal is ignored"},
		{syscall.SIGTTOU, "TTOU", "one worker less, never below 1, or 0 where workers is 0; kept likewise"},
		{syscall.SIGUSR1, "USR1", "reopen the log files; never forwarded to workers"},
		{syscall.SIGUSR2, "USR2", "upgrade in place: the same pid, sockets and workers, and the program that is now where gosuper was started from; refused, and nothing changed, if that does not accept the configuration"},
	}
}

// listen has the signals of the table delivered.
func (s *Supervisor) listen() {
	var all []os.Signal
	for _, one := range Signals() {
		all = append(all, one.Signal)
	}
	s.signals.Listen(all...)
}

// handle does what a signal asks for.
func (s *Supervisor) handle(sig os.Signal) {
	if s.signals.FromTerminal(sig) {
		s.handleTerminal(sig)
		return
	}
	if sig != syscall.SIGCHLD {
		s.log.Info("signal", zap.String("signal", signalName(sig)))
	}
	switch sig {
	case syscall.SIGCHLD:
		s.reap()
	case syscall.SIGHUP:
		s.reload()
	case syscall.SIGTERM:
		s.stop(false)
	case syscall.SIGINT, syscall.SIGQUIT:
		s.stop(true)
	case syscall.SIGTTIN:
		s.scale(1)
	case syscall.SIGTTOU:
		s.scale(-1)
	case syscall.SIGUSR1:
		s.files.Reopen()
	case syscall.SIGUSR2:
		s.upgrades.Ask()
	}
}

// scale changes the number of workers as far as the configuration could.
func (s *Supervisor) scale(by int) {
	n, least := s.fleet.Floor()+by, s.fleet.Bounded(0)
	if n < least || n > config.MaxWorkers {
		s.log.Warn(fmt.Sprintf("not scaled: workers is a number from %d to %d", least, config.MaxWorkers), zap.Int("workers", s.fleet.Floor()))
		return
	}
	if most := s.fleet.Bounded(n); most < n {
		why := "there are no more leases, see [resources]"
		if most == s.revisions.Current.Config.WorkersMax {
			why = "workers_max allows no more"
		}
		s.log.Warn("not scaled: "+why, zap.Int("workers", most))
		return
	}
	s.step(fleet.ScaleBy{N: by})
}

// handleTerminal does what a signal means that the terminal sent: a window that is
// closed takes along what runs in it, and whoever may not use the terminal is told
// so, which is nothing to a master that neither reads from it nor waits to write.
func (s *Supervisor) handleTerminal(sig os.Signal) {
	switch {
	case sig != syscall.SIGHUP:
		s.log.Debug("signal of the terminal ignored", zap.String("signal", signalName(sig)))
	case s.signals.OutlivesTerminal():
		s.log.Info("the terminal is gone, which is ignored as SIGHUP was at the start")
	default:
		s.log.Info("the terminal is gone: stopping")
		s.stop(false)
	}
}

// stop lets the brain end the workers, at once or after the delay.
func (s *Supervisor) stop(quick bool) {
	s.reloads.Abandon()
	before := s.fleet.Stopping()
	s.step(fleet.Stop{Quick: quick})
	if !before && !s.fleet.Closed() {
		s.log.Info("stopping, but still serving", zap.Duration("for", s.revisions.Current.Config.Shutdown.Delay))
	}
}

func signalName(sig os.Signal) string {
	for _, s := range Signals() {
		if s.Signal == sig {
			return "SIG" + s.Name
		}
	}
	return sig.String()
}
