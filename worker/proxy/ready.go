//go:build linux

package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	pollMin = 2 * time.Millisecond // between two looks at a program that starts
	pollMax = 100 * time.Millisecond
	// slowStart is how long a program may take to start before its front says what it is
	// waiting for, or half of startup_timeout if that is less.
	slowStart = 5 * time.Second
	// askTimeout is how long an answer to ready_path may take.
	askTimeout = 5 * time.Second
	// partingTime is what a program may take to end after it has left another one behind.
	partingTime = time.Second
)

var (
	errStopped = errors.New("told to stop")
	errEnded   = errors.New("the program ended")
)

// await returns when the program is ready, with errStopped when the front is told to stop
// before that, or errEnded.
func (f *front) await(draining <-chan struct{}) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-f.program.ended:
		case <-draining:
		case <-ctx.Done():
		}
		cancel()
	}()
	late := time.After(min(slowStart, f.options.startupTimeout/2))
	for pause := pollMin; ; pause = min(2*pause, pollMax) {
		missing := f.missing(ctx)
		if missing != nil && f.turn() {
			missing = f.missing(ctx)
		}
		if missing == nil {
			return f.examine(draining)
		}
		select {
		case <-f.program.ended:
			return errEnded
		case <-draining:
			return errStopped
		case <-late:
			complain("the program is not ready: %v%s", missing, f.elsewhere())
		case <-time.After(pause):
		}
	}
}

// turn turns to the other loopback address, and reports whether it has: there a program
// listens that asks for "localhost", and this machine takes that for IPv6. Whoever else
// listens there is not asked anything.
func (f *front) turn() bool {
	other := net.JoinHostPort(net.IPv6loopback.String(), f.place.port)
	there := func(l listener) bool { return l.address == other }
	if f.place.port == "" || f.place.address == other || !slices.ContainsFunc(listeners(), there) || !slices.ContainsFunc(listening(), there) {
		return false
	}
	f.place.address, f.upstream.address = other, other
	return true
}

// examine is for a program that is ready, but may be one that has put itself into the
// background and is about to end: then what listens is in another session.
func (f *front) examine(draining <-chan struct{}) error {
	own := func(l listener) bool { return l.port() == f.place.port }
	if f.place.port == "" || slices.ContainsFunc(listening(), own) {
		return nil
	}
	select {
	case <-f.program.ended:
		return errEnded
	case <-draining:
		return errStopped
	case <-time.After(partingTime):
		return nil
	}
}

// missing is what the program lacks to be ready; nil: nothing.
func (f *front) missing(ctx context.Context) error {
	if f.options.readyPath == "" {
		conn, err := f.upstream.dial(ctx)
		if err != nil {
			return fmt.Errorf("it does not accept on %v: %w", f.place, err)
		}
		conn.Close()
		return stranger(listeners(), f.place.port, os.Geteuid())
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+f.options.readyPath, nil)
	if err != nil {
		return err
	}
	res, err := f.upstream.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("it does not answer on %v: %w", f.place, err)
	}
	res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("ready_path %s answers %s", f.options.readyPath, res.Status)
	}
	return stranger(listeners(), f.place.port, os.Geteuid())
}

// stranger is an error if somebody else listens on the port than this user, or root.
func stranger(all []listener, port string, user int) error {
	for _, l := range all {
		if l.port() == port && l.user != 0 && l.user != user {
			return fmt.Errorf(`user %d listens on %s: with proxy.to = "unix" nobody else can`, l.user, l.address)
		}
	}
	return nil
}

// elsewhere says where the processes of this worker listen, if they do.
func (f *front) elsewhere() string {
	var addresses []string
	for _, l := range listening() {
		addresses = append(addresses, l.address)
	}
	if len(addresses) == 0 {
		return ""
	}
	place := "{port} in its command, or PORT in its environment"
	if f.place.network == "unix" {
		place = "{socket} in its command"
	}
	return fmt.Sprintf("; it listens on %s: is it told by %s where to?", strings.Join(addresses, ", "), place)
}
