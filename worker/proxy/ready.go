//go:build linux

package proxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	pollMin = 2 * time.Millisecond // between two looks at a program that starts
	pollMax = 100 * time.Millisecond
	// patience is how long a program may take to start before its front says what it is
	// waiting for, or half of startup_timeout if that is less.
	patience = 5 * time.Second
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
	late := time.After(min(patience, f.options.startupTimeout/2))
	for pause := pollMin; ; pause = min(2*pause, pollMax) {
		missing := f.missing(ctx)
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

// examine is for a program that is ready, but may be one that has put itself into the
// background and is about to end: then what listens is in another session.
func (f *front) examine(draining <-chan struct{}) error {
	own := func(address string) bool { return strings.HasSuffix(address, ":"+f.place.port) }
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
		return nil
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
	return nil
}

// elsewhere says where the processes of this worker listen, if they do.
func (f *front) elsewhere() string {
	addresses := listening()
	if len(addresses) == 0 {
		return ""
	}
	place := "{port} in its command, or PORT in its environment"
	if f.place.network == "unix" {
		place = "{socket} in its command"
	}
	return fmt.Sprintf("; it listens on %s: is it told by %s where to?", strings.Join(addresses, ", "), place)
}

// listening returns the TCP addresses on which a process of this session listens.
func listening() []string {
	inodes := map[string]string{}
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		listeners(table, inodes)
	}
	var addresses []string
	session := strconv.Itoa(os.Getpid()) // which a worker leads
	processes, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range processes {
		text, _ := os.ReadFile(stat)
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // state, parent, group, session
		pid := filepath.Base(filepath.Dir(stat))
		if len(fields) < 4 || fields[3] != session || pid == session {
			continue
		}
		links, _ := filepath.Glob(filepath.Dir(stat) + "/fd/*")
		for _, link := range links {
			target, _ := os.Readlink(link)
			if address, ok := inodes[target]; ok {
				delete(inodes, target)
				addresses = append(addresses, decode(address))
			}
		}
	}
	return addresses
}

// listeners reads the listening sockets of a table of proc(5), which come first: there may be
// very many connections after them.
func listeners(table string, inodes map[string]string) {
	file, err := os.Open(table)
	if err != nil {
		return
	}
	defer file.Close()
	const listen = "0A" // TCP_LISTEN
	lines := bufio.NewScanner(file)
	for lines.Scan(); lines.Scan(); { // but for the heading
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != listen {
			return
		}
		inodes["socket:["+fields[9]+"]"] = fields[1]
	}
}

// decode makes an address of proc(5) one for people: words of four bytes in the order of
// the processor, in hexadecimal, and the port.
func decode(address string) string {
	host, port, _ := strings.Cut(address, ":")
	number, _ := strconv.ParseUint(port, 16, 16)
	var ip net.IP
	for word := range len(host) / 8 {
		n, err := strconv.ParseUint(host[8*word:8*word+8], 16, 32)
		if err != nil {
			return address
		}
		ip = binary.NativeEndian.AppendUint32(ip, uint32(n))
	}
	return net.JoinHostPort(ip.String(), strconv.FormatUint(number, 10))
}
