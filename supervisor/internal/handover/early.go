//go:build linux

package handover

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// Variable tells a new image where the state is, and which signals nobody has
// handled. It comes first in the environment and is taken out of it at once.
const Variable = "GOSUPER_UPGRADE"

// What the variable said; a descriptor of -1: nothing.
var (
	inherited = -1
	unhandled []syscall.Signal
)

// early holds the signals that came before anybody wanted them.
var early = make(chan os.Signal, 64)

func init() {
	value, ok := os.LookupEnv(Variable)
	if !ok {
		return
	}
	os.Unsetenv(Variable)
	all := []os.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGTTOU,
	}
	// The runtime believes that its handlers are in place, which package shim has
	// taken away; Ignore tells it.
	signal.Ignore(syscall.SIGTERM, syscall.SIGQUIT)
	signal.Notify(early, all...)
	inherited, unhandled = parse(value)
}

// letter is the value of the variable: numbers, that of the descriptor first.
func letter(state int, signals []syscall.Signal) string {
	text := strconv.Itoa(state)
	for _, s := range signals {
		text += " " + strconv.Itoa(int(s))
	}
	return text
}

// parse is the inverse of letter. Of nonsense it makes descriptor 0, which is no
// state, and so an error later.
func parse(text string) (state int, signals []syscall.Signal) {
	for i, word := range strings.Fields(text) {
		n, err := strconv.ParseUint(word, 10, 31)
		switch {
		case err != nil:
			return 0, nil
		case i == 0:
			state = int(n)
		default:
			signals = append(signals, syscall.Signal(n))
		}
	}
	return state, signals
}

// Inherited returns the descriptor of the state that an image before this one
// has left, and the signals that it had no time for; false if there was none.
func Inherited() (fd int, signals []syscall.Signal, ok bool) {
	return inherited, unhandled, inherited >= 0
}

// Early returns the channel to which all signals are delivered that came since
// this image began, for whoever goes on with it; nil if nothing was inherited.
func Early() chan os.Signal {
	if inherited < 0 {
		return nil
	}
	return early
}
