//go:build linux

package notify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// ErrBusy says that the service manager has not yet read what it was sent before, and that this was not sent.
var ErrBusy = errors.New("the service manager is busy")

// A Manager is the service manager that started this process: systemd, or whatever else speaks sd_notify(3). Its
// methods never wait for it.
type Manager struct {
	fd       int
	to       *unix.SockaddrUnix
	watchdog time.Duration
	keeps    bool
}

// FindManager looks for the service manager in the environment. It is nil, without an error, where NOTIFY_SOCKET is
// not set; an error says that it is set to something that cannot be spoken to.
func FindManager(environ []string) (*Manager, error) {
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
	fd, err := newSender()
	if err != nil {
		return nil, fmt.Errorf("cannot notify the service manager: %w", err)
	}
	return &Manager{fd: fd, to: &unix.SockaddrUnix{Name: address}, watchdog: watchdogOf(env), keeps: keeps(env)}, nil
}

// watchdogOf is WATCHDOG_USEC if it is meant for this process, see sd_watchdog_enabled(3).
func watchdogOf(env map[string]string) time.Duration {
	if pid := env["WATCHDOG_PID"]; pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return microseconds(env[protocol.EnvWatchdog])
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

// Watchdog is how often the service manager wants to hear WATCHDOG=1, or it will end this process; 0: not at all.
func (m *Manager) Watchdog() time.Duration { return m.watchdog }

// Keeps says whether Store may be of any use.
func (m *Manager) Keeps() bool { return m.keeps }

// Send sends assignments, all in one message. The error is ErrBusy, or says that nobody will ever hear it.
func (m *Manager) Send(assignments ...string) error {
	return m.send(nil, assignments)
}

// Store asks the service manager to keep a descriptor, and to pass it under the name to the next process of this
// service: FDSTORE=1 in sd_notify(3). Whether there was room for it nobody learns. The name is printable ASCII without
// ':', of at most 255 bytes.
func (m *Manager) Store(name string, fd int) error {
	return m.send(unix.UnixRights(fd), []string{"FDSTORE=1", "FDNAME=" + name})
}

// Remove asks the service manager to give up the descriptors of that name.
func (m *Manager) Remove(name string) error {
	return m.send(nil, []string{"FDSTOREREMOVE=1", "FDNAME=" + name})
}

func (m *Manager) send(rights []byte, assignments []string) error {
	err := unix.Sendmsg(m.fd, []byte(strings.Join(assignments, "\n")), rights, m.to, unix.MSG_DONTWAIT)
	switch err {
	case nil:
		return nil
	case unix.EAGAIN, unix.ENOBUFS, unix.EINTR:
		return ErrBusy
	}
	return fmt.Errorf("cannot notify the service manager at %s: %w", m.to.Name, err)
}

// Close gives up the descriptor.
func (m *Manager) Close() error { return unix.Close(m.fd) }

// Reloading is the assignments that a reload begins with. The time in it, which has to be in the same message, tells
// the service manager that this is the reload it asked for, and not one before.
func Reloading() string {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // there is no system without it
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}

// Status is the assignment of a status for people, made one line of it.
func Status(text string) string {
	return protocol.NotifyStatus + printable(strings.Join(strings.Fields(text), " "))
}

// ExtendTimeout is the assignment that asks for so much time from now.
func ExtendTimeout(d time.Duration) string {
	return protocol.NotifyExtendTimeout + strconv.FormatInt(d.Microseconds(), 10)
}
