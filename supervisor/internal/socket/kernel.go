//go:build linux

package socket

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// newSocket makes a stream socket that is non-blocking and close-on-exec from the start.
func newSocket(family int) (int, error) {
	protocol := unix.IPPROTO_TCP
	if family == unix.AF_UNIX {
		protocol = 0
	}
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
}

// nowhere is the index of a network interface that no machine has.
const nowhere = math.MaxInt32

// refuse makes a listener take no new handshakes, by binding it to an interface through which nothing comes: to a
// SYN it is as if nobody listened. Handshakes under way have noted their own interface, and connections in the
// queue are sockets of their own. Any user may do this since Linux 5.7. (A socket filter that drops SYNs would do, too, but
// newer kernels, 6.18.44 for one, want CAP_NET_ADMIN for a filter on TCP, which not even root has in a container.)
func refuse(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, nowhere)
}

// admit undoes refuse. It needs CAP_NET_RAW, and gives EPERM without.
func admit(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, 0)
}

// refuses reports whether refuse was called for the listener, by whichever process.
func refuses(fd int) bool {
	index, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	return err == nil && index == nowhere
}

// replace makes the descriptor old mean what fd means, and closes fd.
func replace(old, fd int) error {
	return errors.Join(unix.Dup3(fd, old, unix.O_CLOEXEC), unix.Close(fd))
}

// tcpQueue is the length of a listener's accept queue: for a listening socket tcpi_unacked is that
// (net/ipv4/tcp.c, tcp_get_info).
func tcpQueue(fd int) (int, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return 0, err
	}
	return int(info.Unacked), nil
}

// listens checks that fd is a listening stream socket.
func listens(fd int) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case err == unix.EBADF:
		return errors.New("the descriptor is not open")
	case err != nil:
		return fmt.Errorf("it is not a socket: %w", err)
	case kind != unix.SOCK_STREAM:
		return errors.New("it is a socket, but not a stream socket")
	}
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return fmt.Errorf("cannot ask whether it listens: %w", err)
	}
	if accepts == 0 {
		return errors.New("it is a stream socket, but does not listen")
	}
	return nil
}

// accepts reports whether a TCP socket listens: after shutdown(2) it does no more.
func accepts(fd int) bool {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err != nil || listens != 0
}

// shut reports whether shutdown(2) was called on a unix socket that listens, which SO_ACCEPTCONN does not tell of it
// (net/unix/af_unix.c, unix_poll and unix_stream_connect).
func shut(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP) != 0
}

// pin identifies the socket file at path and keeps its inode number from being given to another file until release
// is called; ext4 reuses numbers at once.
func pin(path string) (id fileID, release func(), err error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fileID{}, nil, err
	}
	release = func() { unix.Close(fd) }
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		id, err = socketID(&st)
	}
	if err != nil {
		release()
		return fileID{}, nil, err
	}
	return id, release, nil
}

// claim gives the path of a socket just bound its mode (0: as it is) and owner (-1: as it is), and identifies it. It
// works on the file it has opened, so that a symlink put there by whoever may write to the directory is of no use.
// With an error the file is identified as well, if it could be.
func claim(path string, mode uint32, uid, gid int) (fileID, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fileID{}, fmt.Errorf("cannot open the path just bound: %w", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fileID{}, fmt.Errorf("cannot look at the path just bound: %w", err)
	}
	id, err := socketID(&st)
	if err != nil {
		return fileID{}, err
	}
	if uid != -1 || gid != -1 {
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return id, fmt.Errorf("cannot give the path to %d:%d: %w", uid, gid, err)
		}
	}
	if mode != 0 && st.Mode&0o777 != mode {
		if err := unix.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode); err != nil {
			return id, fmt.Errorf("cannot set the mode of the path: %w", err)
		}
	}
	return id, nil
}
