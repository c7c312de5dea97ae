//go:build linux

package socket

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

var errNotSocket = errors.New("the file there is not a socket")

// A fileID tells files apart. The zero value is none.
type fileID struct {
	dev uint64 `state:"dev"`
	ino uint64 `state:"ino"`
}

func (op *opening) openPath(a Address) (*listener, error) {
	if err := a.checkPath(); err != nil {
		return nil, &Error{Address: a.String(), Err: err, Hint: "take a shorter directory"}
	}
	return op.bindPath(a.path)
}

// bindPath binds a unix socket. The bind itself claims the path, since the kernel lets only one socket create it.
// The other way, a temporary name that is renamed over the path, is not taken: it replaces whatever is there by
// then, live or not, and the socket would be known by the temporary name to ss, lsof and the workers ever after.
func (op *opening) bindPath(path string) (l *listener, err error) {
	fd, err := op.socket(unix.AF_UNIX)
	if err != nil {
		return nil, fmt.Errorf("cannot make a socket: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	if err == unix.EADDRINUSE {
		err = op.rebind(fd, path)
	}
	if err != nil {
		return nil, err
	}
	l = &listener{fd: fd, own: true, url: "unix://" + path, path: path}
	// Nobody can connect before it listens, so that there is time to set who may.
	l.file, err = claim(path, uint32(op.options.Mode.Perm()), owner(op.options.UID), owner(op.options.GID))
	if err != nil {
		return nil, errors.Join(err, l.leavePath().remove())
	}
	return l, nil
}

// owner is id for chown(2), where -1 leaves the owner alone.
func owner(id int) int {
	if id == 0 {
		return -1
	}
	return id
}

// rebind binds fd to a path that exists, if that is a socket no process holds any more. Whatever else is there is
// refused, be it a file, a symlink, a socket somebody listens on, or one that is bound and will listen in a
// moment. Whose file it is does not matter: the workers' user may have changed since, and the directory decides who
// may remove it.
//
// Between finding the file dead and removing it, another master may have done both and put its own there. A lock on
// the directory, which vanishes with its holder and leaves no file behind, makes that one step among masters. Any user
// who can read the directory can hold it too, and for ever: so it is waited for no longer than a master may need it.
// For whoever is without it, and for other programs, which know of no lock, the file is looked at once more just before
// it is removed.
func (op *opening) rebind(fd int, path string) error {
	dir, err := unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open the directory: %w", err)
	}
	defer unix.Close(dir)
	if err := lock(dir); err != nil {
		return fmt.Errorf("cannot lock the directory: %w", err)
	}
	if err := op.removeStale(path); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrUnix{Name: path})
}

// lockTime is how long another master may take to find a file dead and to replace it, and lockLook how often it is
// looked whether it is done.
const (
	lockTime = 500 * time.Millisecond
	lockLook = 5 * time.Millisecond
)

// lock waits for the lock on a directory until whoever has it cannot be a master that needs it.
func lock(dir int) error {
	for end := time.Now().Add(lockTime); ; time.Sleep(lockLook) {
		switch err := unix.Flock(dir, unix.LOCK_EX|unix.LOCK_NB); {
		case err == unix.EINTR:
		case err != unix.EWOULDBLOCK:
			return err
		case time.Now().After(end):
			return nil
		}
	}
}

func (op *opening) removeStale(path string) error {
	seen, release, err := pin(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	for _, e := range slices.Concat(op.held, op.set.entries) {
		if e.own && e.fd >= 0 && e.file == seen {
			return fmt.Errorf("%w by this master's own %s", unix.EADDRINUSE, e.url)
		}
	}
	if err := op.probe(path, seen); err != nil {
		return err
	}
	if there, err := identify(path); err != nil || there != seen {
		return fmt.Errorf("%w: another process has just replaced the stale socket", unix.EADDRINUSE)
	}
	if err := unix.Unlink(path); err != nil {
		return fmt.Errorf("cannot remove the stale socket: %w", err)
	}
	return nil
}

// probe returns nil if nobody holds the socket at path, which is the file seen.
func (op *opening) probe(path string, seen fileID) error {
	fd, err := op.socket(unix.AF_UNIX)
	if err != nil {
		return fmt.Errorf("cannot make a socket: %w", err)
	}
	defer unix.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	switch err {
	case unix.ECONNREFUSED:
		if held, err := bound(path, seen); err != nil || !held {
			return err
		}
	case unix.ENOENT: // removed meanwhile, and bind will tell
		return nil
	case nil, unix.EAGAIN, unix.EINPROGRESS, unix.EPROTOTYPE: // accepted, queue full, another type of socket
	default:
		return fmt.Errorf("cannot tell whether the socket is in use: %w", err)
	}
	return &Error{
		Address: "unix:" + path,
		Err:     fmt.Errorf("%w by another process", unix.EADDRINUSE),
		Hint:    "find it with: ss -lxp src " + path,
		Taken:   true,
	}
}

// identify looks at the file at path, which is not followed if it is a symlink.
func identify(path string) (fileID, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return fileID{}, err
	}
	return socketID(&st)
}

// socketID refuses what is not a socket.
func socketID(st *unix.Stat_t) (fileID, error) {
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return fileID{}, errNotSocket
	}
	return fileID{dev: uint64(st.Dev), ino: st.Ino}, nil
}
