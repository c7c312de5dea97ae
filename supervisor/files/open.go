//go:build linux

package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errMoved says that another file stands there by now.
var errMoved = errors.New("it is exchanged all the time")

// OpenLog opens a file for appending, and makes it if it is not there. It may also
// be a device such as a terminal, or a named pipe that somebody reads: without a
// reader it is an error, instead of a master that waits. Links count if root or
// this user made them where only these can; a file that others could have put there
// counts if it is one of root's, of this user's, or of the owner of its folder, and
// has no other name. Writing never waits, as far as the kind of file allows.
func OpenLog(path string) (fd int, err error) {
	return retry(path, func(p *place) (int, error) {
		const flags = unix.O_WRONLY | unix.O_APPEND
		if p.file == nil {
			return p.create(flags, 0o640)
		}
		if err := p.checkLog(); err != nil {
			return -1, err
		}
		return p.openAs(flags)
	})
}

// CheckLog says whether [OpenLog] would have a file, as far as that can be told
// without opening it: it is not made, and whoever reads a named pipe does not
// notice.
func CheckLog(path string) error {
	p, err := find(path)
	if err != nil {
		return failed("write", path, err)
	}
	defer p.close()
	name, mode := p.name, uint32(unix.W_OK)
	if p.file == nil {
		name, mode, path = ".", unix.W_OK|unix.X_OK, p.path
	} else if err := p.checkLog(); err != nil {
		return failed("write", path, err)
	}
	flags := unix.AT_EACCESS
	if !p.given {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	return failed("write", path, unix.Faccessat(p.dir, name, mode, flags))
}

// checkLog says why what stands there does not do as a log.
func (p *place) checkLog() error {
	switch p.file.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFCHR, unix.S_IFIFO:
	case unix.S_IFDIR:
		return unix.EISDIR
	case unix.S_IFSOCK:
		return unix.ENXIO
	default:
		return fmt.Errorf("%s is a device that keeps data", p.full())
	}
	if p.closed() || p.ours() || p.theirs() {
		return nil
	}
	return p.whose()
}

// OpenInput opens a file for reading. For root, a file that others could have put
// there counts only if it has no other name, and is one of root's where no folder on
// the way belongs to others, or that of the owner of its folder: so nobody has root
// read to him what he could not read himself. Of what kind it is the caller has to
// look at; opening does not wait.
func OpenInput(path string) (*os.File, error) {
	if os.Geteuid() != 0 {
		return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	}
	return asFile(path)(retry(path, func(p *place) (int, error) {
		switch {
		case p.file == nil:
			return -1, unix.ENOENT
		case p.closed() || p.theirs() || p.ours() && len(p.strangers) == 0:
			return p.openAs(unix.O_RDONLY)
		}
		return -1, p.whose()
	}))
}

// OpenPID opens a file for the pid of this process, and makes it if it is not
// there. One that is there is nobody else's: regular, of root or this user, with
// one name, and not to be written by others. What it says has to be looked at by
// the caller, before anything is written.
func OpenPID(path string) (*os.File, error) {
	return asFile(path)(retry(path, func(p *place) (int, error) {
		if p.file == nil {
			return p.create(unix.O_RDWR, 0o644)
		}
		switch file := p.full(); {
		case p.file.Mode&unix.S_IFMT != unix.S_IFREG:
			return -1, fmt.Errorf("%s is not a regular file", file)
		case !p.trusts(p.file.Uid):
			return -1, fmt.Errorf("%s belongs to user %d", file, p.file.Uid)
		case p.file.Nlink != 1:
			return -1, fmt.Errorf("%s has %d names (hard links)", file, p.file.Nlink)
		case p.shared(p.file):
			return -1, fmt.Errorf("%s may be written by others", file)
		}
		return p.openAs(unix.O_RDWR)
	}))
}

// OpenFolder opens a folder for files that are made in it, and makes it if it is not
// there. One that is there belongs to root or this user. Others may write in it: what is
// opened there has to be made anew, under names that nobody can foresee.
func OpenFolder(path string) (*os.File, error) {
	return asFile(path)(retry(path, func(p *place) (int, error) {
		if p.file == nil {
			if err := unix.Mkdirat(p.dir, p.name, 0o750); err != nil && err != unix.EEXIST {
				return -1, err
			}
			return -1, errMoved // look who made it
		}
		switch folder := p.full(); {
		case p.file.Mode&unix.S_IFMT != unix.S_IFDIR:
			return -1, fmt.Errorf("%s is not a folder", folder)
		case !p.trusts(p.file.Uid):
			return -1, fmt.Errorf("%s belongs to user %d", folder, p.file.Uid)
		}
		return p.openAs(unix.O_RDONLY | unix.O_DIRECTORY)
	}))
}

// IsAt says whether the open file is the one at the path.
func IsAt(f *os.File, path string) bool {
	p, err := find(path)
	if err != nil {
		return false
	}
	defer p.close()
	return p.is(f)
}

// Remove removes the path if the open file is the one at it.
func Remove(f *os.File, path string) error {
	p, err := find(path)
	if err != nil {
		return failed("remove", path, err)
	}
	defer p.close()
	if !p.is(f) {
		return nil
	}
	return failed("remove", path, unix.Unlinkat(p.dir, p.name, 0))
}

func (p *place) is(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || p.file == nil || p.given {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Dev == p.file.Dev && stat.Ino == p.file.Ino
}

// OpenProgram opens an executable, for execution only, and says where it is without
// links. Nobody but root and this user can change it, or what its path means; for
// another user than root, whoever owns the program that runs now is as good.
func OpenProgram(path string) (f *os.File, resolved string, err error) {
	var others []uint32
	var self unix.Stat_t
	if os.Geteuid() != 0 && unix.Stat("/proc/self/exe", &self) == nil {
		others = append(others, self.Uid)
	}
	f, err = asFile(path)(retry(path, func(p *place) (int, error) {
		if p.file == nil {
			return -1, unix.ENOENT
		}
		resolved = p.full()
		switch {
		case p.file.Mode&unix.S_IFMT != unix.S_IFREG:
			return -1, fmt.Errorf("%s is not a file", resolved)
		case p.file.Mode&0o111 == 0:
			return -1, fmt.Errorf("%s is not executable", resolved)
		case !p.trusts(p.file.Uid):
			return -1, fmt.Errorf("%s belongs to user %d, who is not to be run as this one", resolved, p.file.Uid)
		case p.shared(p.file):
			return -1, fmt.Errorf("%s may be written by others", resolved)
		case !p.closed() && (p.why != "" || !p.ours()):
			return -1, p.whose()
		}
		return p.openAs(unix.O_PATH)
	}, others...))
	return f, resolved, err
}

// create makes the file, which nobody may have done meanwhile.
func (p *place) create(flags int, mode uint32) (fd int, err error) {
	fd, err = unix.Openat(p.dir, p.name, flags|always|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
	if err == unix.EEXIST {
		err = errMoved
	}
	return fd, err
}

// retry opens what is at the path, again if it was exchanged meanwhile.
func retry(path string, open func(*place) (int, error), others ...uint32) (fd int, err error) {
	for range 10 {
		p, findErr := find(path, others...)
		if findErr != nil {
			return -1, failed("open", path, findErr)
		}
		fd, err = open(p)
		p.close()
		if err != errMoved && (err != unix.ENOENT || p.file == nil) {
			break
		}
	}
	if err != nil {
		return -1, failed("open", path, err)
	}
	return fd, nil
}

// asFile makes a file of a descriptor.
func asFile(path string) func(int, error) (*os.File, error) {
	return func(fd int, err error) (*os.File, error) {
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), path), nil
	}
}

// failed is an error of the system with its path; others have one.
func failed(op, path string, err error) error {
	if _, ok := err.(unix.Errno); ok || err == errMoved {
		return &os.PathError{Op: op, Path: path, Err: err}
	}
	return err
}

// An Imprint tells whether a file is still the one that it was.
type Imprint struct {
	Dev     uint64 `json:"dev"`
	Ino     uint64 `json:"ino"`
	Size    int64  `json:"size"`
	ModTime int64  `json:"mod_time"` // nanoseconds
}

// ImprintOf is that of what is behind a path.
func ImprintOf(path string) (Imprint, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return Imprint{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return ImprintFrom(&stat), nil
}

// ImprintFrom is that of a file that was looked at.
func ImprintFrom(stat *unix.Stat_t) Imprint {
	return Imprint{uint64(stat.Dev), stat.Ino, stat.Size, stat.Mtim.Nano()}
}
