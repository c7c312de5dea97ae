//go:build linux

package socket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A pathSocket is a unix socket of some process, as sock_diag(7) or, where there is none, /proc/net/unix tells.
type pathSocket struct {
	inode uint32 // of the socket, not of the file
	path  string // as it was bound, in whichever mount namespace; "": none
	file  fileID // what it was bound to, with the lower 32 bits of its number; the zero value: not known
}

// is reports whether the socket was bound to the file at path. The number of the file is not enough where stat(2)
// gives the device another number than the kernel does (btrfs): there the text has to be the same as well. The text
// alone says nothing: another mount namespace has another file under it.
func (s pathSocket) is(path string, file fileID) bool {
	if s.file == (fileID{}) {
		return s.path == path // nobody knows better
	}
	return s.file.ino == file.ino&0xffffffff && (s.file.dev == file.dev || s.path == path)
}

// bound reports whether a process holds the socket of the file at path, even if it does not listen yet.
func bound(path string, file fileID) (bool, error) {
	sockets, err := pathSockets()
	for _, s := range sockets {
		if s.is(path, file) {
			return true, nil
		}
	}
	return false, err
}

// boundTo reports whether this socket is the one of the file at path.
func boundTo(fd int, path string, file fileID) bool {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false
	}
	sockets, err := pathSockets()
	if err != nil {
		return false
	}
	for _, s := range sockets {
		if s.inode == uint32(st.Ino) {
			return s.is(path, file)
		}
	}
	return false
}

// pathSockets are the unix sockets with a path of all processes in this network namespace that were bound, and not
// connected: those, and what is accepted from them, have the path as well, and no say in whose it is.
func pathSockets() ([]pathSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return listedSockets()
	}
	defer unix.Close(fd)
	sockets, err := diagnosed(fd)
	if err != nil {
		return listedSockets() // a kernel without unix_diag
	}
	return sockets, nil
}

// The structures and constants of linux/unix_diag.h.
type (
	diagRequest struct {
		unix.NlMsghdr
		family, protocol uint8
		_                uint16
		states, inode    uint32
		show             uint32
		cookie           [2]uint32
	}
	diagMessage struct {
		family, kind, state, _ uint8
		inode                  uint32
		cookie                 [2]uint32
	}
)

const (
	diagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	showName     = 1  // UDIAG_SHOW_NAME
	showFile     = 2  // UDIAG_SHOW_VFS
	attrName     = 0  // UNIX_DIAG_NAME
	attrFile     = 1  // UNIX_DIAG_VFS
	stateClose   = 7  // TCP_CLOSE, here: neither connected nor listening
	stateListen  = 10 // TCP_LISTEN
)

func diagnosed(fd int) (sockets []pathSocket, err error) {
	q := diagRequest{family: unix.AF_UNIX, states: 1<<stateClose | 1<<stateListen, show: showName | showFile}
	q.NlMsghdr = unix.NlMsghdr{Len: uint32(unsafe.Sizeof(q)), Type: diagByFamily, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP}
	if err := unix.Sendto(fd, unsafe.Slice((*byte)(unsafe.Pointer(&q)), unsafe.Sizeof(q)), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buf := make([]byte, 32<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofNlMsghdr; {
			h := (*unix.NlMsghdr)(unsafe.Pointer(&rest[0]))
			if h.Len < unix.SizeofNlMsghdr || int(h.Len) > len(rest) {
				return nil, errors.New("a message of sock_diag is cut off")
			}
			switch h.Type {
			case unix.NLMSG_DONE:
				return sockets, nil
			case unix.NLMSG_ERROR:
				return nil, errors.New("sock_diag knows no unix sockets")
			}
			if s, ok := readDiag(rest[unix.SizeofNlMsghdr:h.Len]); ok {
				sockets = append(sockets, s)
			}
			rest = rest[min(align4(int(h.Len)), len(rest)):]
		}
	}
}

// readDiag reads one socket; false if it has no path.
func readDiag(b []byte) (s pathSocket, ok bool) {
	const head = int(unsafe.Sizeof(diagMessage{}))
	if len(b) < head {
		return s, false
	}
	m := (*diagMessage)(unsafe.Pointer(&b[0]))
	s.inode = m.inode
	for b = b[head:]; len(b) >= unix.SizeofRtAttr; {
		length, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if length < unix.SizeofRtAttr || length > len(b) {
			break
		}
		value := b[unix.SizeofRtAttr:length]
		switch {
		case kind == attrName:
			s.path = strings.TrimRight(string(value), "\x00")
		case kind == attrFile && len(value) >= 8:
			// The kernel's own dev_t has 20 bits for the minor number (linux/kdev_t.h).
			device := binary.NativeEndian.Uint32(value[4:])
			s.file = fileID{dev: unix.Mkdev(device>>20, device&(1<<20-1)), ino: uint64(binary.NativeEndian.Uint32(value))}
		}
		b = b[min(align4(length), len(b)):]
	}
	return s, s.path != "" && s.path[0] != 0
}

func align4(n int) int { return (n + 3) &^ 3 }

// listedSockets is what /proc/net/unix knows, which is not the file.
func listedSockets() (sockets []pathSocket, err error) {
	text, err := os.ReadFile("/proc/net/unix")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // no /proc: a socket about to listen looks stale
	}
	if err != nil {
		return nil, fmt.Errorf("cannot tell whether the socket is in use: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		// Num RefCount Protocol Flags Type St Inode Path, see proc(5); the state is SS_UNCONNECTED.
		fields := strings.Fields(line)
		if len(fields) < 8 || fields[5] != "01" {
			continue
		}
		var s pathSocket
		if _, err := fmt.Sscan(fields[6], &s.inode); err != nil {
			continue
		}
		_, s.path, _ = strings.Cut(strings.TrimRight(line, "\n"), " "+fields[6]+" ")
		sockets = append(sockets, s)
	}
	return sockets, nil
}
