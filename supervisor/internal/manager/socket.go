//go:build linux

package manager

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/internal/notify"
	"github.com/gosuper/gosuper/worker/protocol"
)

// ErrBusy says that the service manager has not yet read what it was sent before, and that this was not sent.
var ErrBusy = errors.New("the service manager is busy")

// datagrams is the link that systemd has.
type datagrams struct {
	fd int
	to *unix.SockaddrUnix
}

// Find looks for the service manager in the environment. It is nil, without an error, where NOTIFY_SOCKET is not set;
// an error says that it is set to something that cannot be spoken to.
func Find(environ []string) (*Manager, error) {
	env := make(map[string]string)
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	address := env[protocol.EnvNotifySocket]
	if address == "" {
		return nil, nil
	}
	if !filepath.IsAbs(address) && address[0] != '@' {
		return nil, fmt.Errorf("cannot notify the service manager: NOTIFY_SOCKET=%s is neither a path nor an abstract address", address)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot notify the service manager: %w", err)
	}
	m := New(datagrams{fd, &unix.SockaddrUnix{Name: address}}, watchdogOf(env))
	m.keeps = keeps(env)
	return m, nil
}

// watchdogOf is WATCHDOG_USEC if it is meant for this process, see sd_watchdog_enabled(3).
func watchdogOf(env map[string]string) time.Duration {
	if pid := env["WATCHDOG_PID"]; pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return notify.Microseconds(env[protocol.EnvWatchdog])
}

// keeps says whether there may be a descriptor store for this service. systemd sets FDSTORE since 254; before that it
// does not tell, and writes one line to the journal if asked in vain. MEMORY_PRESSURE_WATCH is of the same release, so
// where it stands alone there is no store.
func keeps(env map[string]string) bool {
	if n, ok := env["FDSTORE"]; ok {
		return n != "" && n != "0"
	}
	_, modern := env["MEMORY_PRESSURE_WATCH"]
	return !modern
}

func (d datagrams) Send(assignments ...string) error { return d.send(nil, assignments) }

// Store is FDSTORE=1 of sd_notify(3). Whether there was room for it nobody learns.
func (d datagrams) Store(name string, fd int) error {
	return d.send(unix.UnixRights(fd), []string{"FDSTORE=1", "FDNAME=" + name})
}

func (d datagrams) Remove(name string) error {
	return d.send(nil, []string{"FDSTOREREMOVE=1", "FDNAME=" + name})
}

func (d datagrams) send(rights []byte, assignments []string) error {
	err := unix.Sendmsg(d.fd, []byte(strings.Join(assignments, "\n")), rights, d.to, unix.MSG_DONTWAIT)
	switch err {
	case nil:
		return nil
	case unix.EAGAIN, unix.ENOBUFS, unix.EINTR:
		return ErrBusy
	}
	return fmt.Errorf("cannot notify the service manager at %s: %w", d.to.Name, err)
}

// reloading is the assignments that a reload begins with. The time in it, which has to be in the same message, tells
// the service manager that this is the reload it asked for, and not one before.
func reloading() string {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // there is no system without it
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}

// status is the assignment of a status for people, made one line of it.
func status(text string) string {
	return protocol.NotifyStatus + notify.Printable(strings.Join(strings.Fields(text), " "))
}

// extendTimeout is the assignment that asks for so much time from now.
func extendTimeout(d time.Duration) string {
	return protocol.NotifyExtendTimeout + strconv.FormatInt(d.Microseconds(), 10)
}
