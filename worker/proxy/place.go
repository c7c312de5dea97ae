//go:build linux

package proxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// A place is where the program listens, and reports.
type place struct {
	network string // "tcp" or "unix"
	address string
	port    string // "" for a unix socket
	folder  string // of the unix socket, to be removed
	held    int    // the descriptor that keeps the port
	reports string // address for sd_notify(3), "" if there is none
}

// reserve finds a place where nobody listens.
func reserve(to string) (*place, error) {
	if to == toUnix {
		sweep()
		folder, err := os.MkdirTemp("", folderPrefix)
		if err != nil {
			return nil, fmt.Errorf("cannot make a folder for the program's socket: %w", err)
		}
		return &place{network: "unix", address: filepath.Join(folder, socketName), folder: folder, held: -1}, nil
	}
	port, held, err := holdPort()
	if err != nil {
		return nil, fmt.Errorf("cannot reserve a port for the program: %w", err)
	}
	return &place{network: "tcp", address: "127.0.0.1:" + port, port: port, held: held}, nil
}

// holdPort binds a port and does not listen. With SO_REUSEADDR on either side, which
// every common server sets, the program can bind it all the same, while the kernel gives
// it to nobody who asks for any port.
func holdPort() (port string, fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", -1, os.NewSyscallError("socket", err)
	}
	bind := func() error {
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return os.NewSyscallError("bind", err)
		}
		// After the bind: so the port is no one's that somebody else holds likewise.
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	}
	if err := bind(); err != nil {
		unix.Close(fd)
		return "", -1, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return "", -1, os.NewSyscallError("getsockname", err)
	}
	return strconv.Itoa(name.(*unix.SockaddrInet4).Port), fd, nil
}

// expand fills in the placeholders of a word of the command, or of a variable.
func (p *place) expand(word string) string {
	socket := ""
	if p.network == "unix" {
		socket = p.address
	}
	return strings.NewReplacer("{{port}}", "{port}", "{{socket}}", "{socket}", "{port}", p.port, "{socket}", socket).Replace(word)
}

// environ is the environment of the program: that of the front, in which the named
// variables have placeholders, PORT, and where to report.
func (p *place) environ(base, named []string) []string {
	var environ []string
	for _, entry := range base {
		name, value, _ := strings.Cut(entry, "=")
		if name == "PORT" && p.port != "" {
			continue
		}
		if slices.Contains(named, name) {
			entry = name + "=" + p.expand(value)
		}
		environ = append(environ, entry)
	}
	if p.port != "" {
		environ = append(environ, "PORT="+p.port)
	}
	if p.reports != "" {
		environ = append(environ, protocol.EnvNotifySocket+"="+p.reports)
	}
	return environ
}

// String is the place as people know it.
func (p *place) String() string {
	if p.network == "unix" {
		return "unix:" + p.address
	}
	return p.address
}

// close gives the place back.
func (p *place) close() {
	if p.held >= 0 {
		unix.Close(p.held)
	}
	if p.folder != "" {
		os.RemoveAll(p.folder)
	}
}

const (
	folderPrefix = "gosuper-proxy-"
	socketName   = "s"
	// abandoned is the age from which a socket on which nobody listens is nobody's: its
	// front was killed, and could not remove it.
	abandoned = 10 * time.Minute
)

// sweep removes what fronts of this user left behind that were killed.
func sweep() {
	sockets, _ := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*", socketName))
	for _, socket := range sockets {
		info, err := os.Lstat(filepath.Dir(socket))
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < abandoned {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
			continue
		}
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			os.RemoveAll(filepath.Dir(socket))
		}
	}
}
