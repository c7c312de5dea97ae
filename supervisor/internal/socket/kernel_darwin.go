package socket

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// newSocket makes a stream socket that is non-blocking and close-on-exec. The kernel has no flags for that, so
// forks are held off in between.
func newSocket(family int) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// refuse: nothing keeps new handshakes from a listener short of closing it.
func refuse(int) error { return errors.ErrUnsupported }

func admit(int) error { return errors.ErrUnsupported }

func refuses(int) bool { return false }

// boundTo: there is no list of unix sockets.
func boundTo(int, string, fileID) bool { return false }

// replace makes the descriptor old mean what fd means, and closes fd.
func replace(old, fd int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	err := unix.Dup2(fd, old)
	unix.CloseOnExec(old)
	return errors.Join(err, unix.Close(fd))
}

// tcpQueue: TCP_CONNECTION_INFO says nothing of listeners.
func tcpQueue(int) (int, error) { return 0, errors.ErrUnsupported }

// listens checks that fd is a stream socket; SO_ACCEPTCONN cannot be asked for.
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
	return nil
}

// accepts: SO_ACCEPTCONN cannot be asked for.
func accepts(int) bool { return true }

// shut: nothing tells it.
func shut(int) bool { return false }

// bound: the kernel has no table of bound paths, so a socket about to listen looks stale.
func bound(string, fileID) (bool, error) { return false, nil }

// pin identifies the socket file at path. Without O_PATH its inode number cannot be kept from being reused.
func pin(path string) (id fileID, release func(), err error) {
	id, err = identify(path)
	return id, func() {}, err
}

// claim gives the path of a socket just bound its mode (0: as it is) and owner (-1: as it is), and identifies it.
// With an error the file is identified as well, if it could be.
func claim(path string, mode uint32, uid, gid int) (fileID, error) {
	id, err := identify(path)
	if err != nil {
		return fileID{}, err
	}
	if uid != -1 || gid != -1 {
		if err := unix.Lchown(path, uid, gid); err != nil {
			return id, fmt.Errorf("cannot give the path to %d:%d: %w", uid, gid, err)
		}
	}
	if mode != 0 {
		if err := unix.Chmod(path, mode); err != nil {
			return id, fmt.Errorf("cannot set the mode of the path: %w", err)
		}
	}
	return id, nil
}
