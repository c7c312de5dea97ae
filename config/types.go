package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Workers is a number of workers, or how [Config.CountWorkers] finds it by the CPU
// quota.
type Workers struct {
	// N is the number, or what comes on top of PerCPU; 0 when Auto is set.
	N int
	// PerCPU is how many workers each CPU gets; 0: the number goes by none.
	PerCPU int
	// Auto is one worker for each CPU, and at least two.
	Auto bool
}

// byCPU are the values that go by the CPU quota, beside "auto".
var byCPU = []Workers{{PerCPU: 1}, {PerCPU: 1, N: 1}, {PerCPU: 2, N: 1}}

// Fixed says whether it is a number, the same on every machine.
func (w Workers) Fixed() bool { return !w.Auto && w.PerCPU == 0 }

// String returns the value as it is written: "4", "auto", "2*cpu+1".
func (w Workers) String() string {
	if w.Auto {
		return "auto"
	}
	if w.PerCPU == 0 {
		return strconv.Itoa(w.N)
	}
	text := "cpu"
	if w.PerCPU > 1 {
		text = fmt.Sprintf("%d*cpu", w.PerCPU)
	}
	if w.N > 0 {
		text += fmt.Sprintf("+%d", w.N)
	}
	return text
}

// Surge is how many processes may exist beyond the workers, as a number or as a
// percentage of the workers. The zero value allows none: a worker is then
// stopped before its replacement starts.
type Surge struct {
	// N is the number, or the percentage.
	N int
	// Percent tells which of them N is.
	Percent bool
}

// Of returns the surge for that many workers. A percentage is rounded up.
func (s Surge) Of(workers int) int {
	if s.Percent {
		return (workers*s.N + 99) / 100
	}
	return s.N
}

// String returns the surge as it is written in a file: "2", "50%".
func (s Surge) String() string {
	if s.Percent {
		return strconv.Itoa(s.N) + "%"
	}
	return strconv.Itoa(s.N)
}

// AutoDuration is a duration that gosuper chooses itself unless one is written.
type AutoDuration struct {
	// Duration is the duration in force, chosen or written.
	Duration time.Duration
	// Auto tells that it was chosen.
	Auto bool
}

// AutoBool is a yes or no that gosuper decides itself unless one is written.
type AutoBool struct {
	// On is what is in force, decided or written.
	On bool
	// Auto tells that it was decided.
	Auto bool
}

// UnmarshalJSON reads also the bare true or false that versions wrote which decided
// nothing.
func (b *AutoBool) UnmarshalJSON(text []byte) error {
	*b = AutoBool{}
	if json.Unmarshal(text, &b.On) == nil {
		return nil
	}
	type plain AutoBool
	return json.Unmarshal(text, (*plain)(b))
}

// ReadyMode is the way in which a worker is found to be ready.
type ReadyMode int

const (
	// ReadyAuto waits for READY=1 if the worker cooperates, or one of the same
	// command before it did; else until the worker is old enough and waits for
	// connections.
	ReadyAuto ReadyMode = iota
	// ReadyNotify waits for READY=1.
	ReadyNotify
	// ReadyAfter waits until the worker has been alive for some time.
	ReadyAfter
)

// String returns "auto", "notify" or "after".
func (m ReadyMode) String() string {
	switch m {
	case ReadyAuto:
		return "auto"
	case ReadyNotify:
		return "notify"
	case ReadyAfter:
		return "after"
	}
	return fmt.Sprintf("ReadyMode(%d)", int(m))
}

// Ready says when a worker counts as ready.
type Ready struct {
	Mode ReadyMode
	// After is the time to be alive for; unused with ReadyNotify.
	After time.Duration
}

// String returns "auto", "notify" or the duration.
func (r Ready) String() string {
	if r.Mode == ReadyAfter {
		return formatDuration(r.After)
	}
	return r.Mode.String()
}

// Umask is a file mode creation mask, or none. The zero value leaves the mask
// of the master in force.
type Umask struct {
	// Mask is the mask, 0 to 0o777.
	Mask int
	// Set tells that there is one.
	Set bool
}

// String returns the mask in octal, as in "022", or "".
func (u Umask) String() string {
	if !u.Set {
		return ""
	}
	return fmt.Sprintf("%03o", u.Mask)
}

// Signal is a signal for workers.
type Signal struct {
	// Name is the name in full: "SIGTERM".
	Name string
	// Number is the signal on this system.
	Number syscall.Signal
}

// String returns the name.
func (s Signal) String() string { return s.Name }

// workerSignals are the signals a program can be told to act on by a supervisor.
// SIGKILL and SIGSTOP cannot be handled; the rest belong to terminals, children
// and timers.
var workerSignals = []Signal{
	{"SIGTERM", syscall.SIGTERM},
	{"SIGINT", syscall.SIGINT},
	{"SIGQUIT", syscall.SIGQUIT},
	{"SIGABRT", syscall.SIGABRT},
	{"SIGHUP", syscall.SIGHUP},
	{"SIGUSR1", syscall.SIGUSR1},
	{"SIGUSR2", syscall.SIGUSR2},
	{"SIGWINCH", syscall.SIGWINCH},
	{"SIGALRM", syscall.SIGALRM},
}

// findSignal finds a signal by its name, with or without SIG, in any case.
func findSignal(name string) (Signal, bool) {
	upper := strings.ToUpper(name)
	for _, s := range workerSignals {
		if upper == s.Name || "SIG"+upper == s.Name {
			return s, true
		}
	}
	return Signal{}, false
}

// mustSignal is findSignal for the names in this package.
func mustSignal(name string) Signal {
	s, ok := findSignal(name)
	if !ok {
		panic("config: no signal " + name)
	}
	return s
}
