//go:build linux

package files

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// always are the flags by which nothing waits, and nobody inherits.
const always = unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY

// maxLinks is how many links a path may lead through, as for the kernel.
const maxLinks = 40

// place is where a path leads: a name in a folder.
type place struct {
	dir  int          // the folder, as O_PATH has it
	path string       // its path, without links
	name string       // "" if the path is that of the folder itself
	file *unix.Stat_t // what stands there; nil: nothing
	// given: the name is a descriptor of a process, in /proc. What is behind it was
	// chosen by who opened it.
	given bool

	trusted []uint32
	folder  unix.Stat_t
	// open: others than the trusted may put something into the folder.
	open bool
	// why others could have exchanged the folder, or what stands in it; "": they
	// could not.
	why string
	// strangers are the owners of folders on the way who are not trusted, and
	// anybody tells that one of the folders can be written by more than its owner.
	strangers []uint32
	anybody   bool
}

// find walks a path, and trusts root, the user of this process and the others
// given. The place has to be closed.
func find(path string, others ...uint32) (_ *place, err error) {
	p := &place{dir: -1, trusted: append(slices.Clone(others), 0, uint32(os.Geteuid()))}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if err := p.begin(); err != nil {
		return nil, err
	}
	rest := strings.Split(path, "/")
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == "" || name == "." {
			continue
		}
		last := !slices.ContainsFunc(rest, func(n string) bool { return n != "" && n != "." })
		fd, stat, err := p.look(name, last)
		if err == unix.ENOENT && last {
			p.name = name
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		if stat.Mode&unix.S_IFMT == unix.S_IFLNK {
			unix.Close(fd)
			if links++; links > maxLinks {
				return nil, unix.ELOOP
			}
			if err := p.mayFollow(name, stat); err != nil {
				return nil, err
			}
			if !p.onProc() {
				target, err := readlink(p.dir, name)
				if err == nil && filepath.IsAbs(target) {
					err = p.begin()
				}
				if err != nil {
					return nil, err
				}
				rest = append(strings.Split(target, "/"), rest...)
				continue
			}
			// What the kernel says of it need not be a path.
			if fd, stat, err = p.lookAt(name, 0); err != nil {
				return nil, err
			}
			p.given = last
		}
		if last && name != ".." {
			unix.Close(fd)
			p.name, p.file = name, stat
			return p, nil
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			unix.Close(fd)
			return nil, unix.ENOTDIR
		}
		p.enter(fd, stat, filepath.Join(p.path, name))
	}
	p.file = &p.folder
	return p, nil
}

// begin goes to the root. What is known of the way there is not forgotten.
func (p *place) begin() error {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		unix.Close(fd)
		return err
	}
	p.trusted = append(p.trusted, stat.Uid)
	p.enter(fd, &stat, "/")
	return nil
}

// look looks at a name in the folder, and has a folder on the way mounted that is to
// be when somebody wants it.
func (p *place) look(name string, last bool) (fd int, stat *unix.Stat_t, err error) {
	if !last {
		fd, stat, err = p.lookAt(name, unix.O_NOFOLLOW|unix.O_DIRECTORY)
	}
	if last || err == unix.ENOTDIR || err == unix.ELOOP {
		fd, stat, err = p.lookAt(name, unix.O_NOFOLLOW)
	}
	return fd, stat, err
}

func (p *place) lookAt(name string, flags int) (int, *unix.Stat_t, error) {
	fd, err := unix.Openat(p.dir, name, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return -1, nil, err
	}
	stat := &unix.Stat_t{}
	if err := unix.Fstat(fd, stat); err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, stat, nil
}

// enter goes on to a folder.
func (p *place) enter(fd int, stat *unix.Stat_t, path string) {
	p.close()
	p.dir, p.path, p.folder = fd, path, *stat
	p.open = p.shared(stat) && !readOnly(fd)
	var why string
	switch sticky := stat.Mode&unix.S_ISVTX != 0; {
	case !p.trusts(stat.Uid):
		why = fmt.Sprintf("%s is a folder of user %d", path, stat.Uid)
		p.strangers = append(p.strangers, stat.Uid)
	case p.open && !sticky:
		why = path + " may be written by others"
	}
	p.anybody = p.anybody || p.open && stat.Mode&unix.S_ISVTX == 0 && stat.Mode&0o002 != 0
	if p.why == "" {
		p.why = why
	}
}

// mayFollow says why a link in the folder does not count. That a group may write
// there is no reason, as it is in Ubuntu's /var/log, where systemd makes links: who
// is in it could at most move a link of ours from elsewhere.
func (p *place) mayFollow(name string, link *unix.Stat_t) error {
	path := filepath.Join(p.path, name)
	switch {
	case !p.trusts(link.Uid):
		return fmt.Errorf("%s is a link made by user %d, which is not followed", path, link.Uid)
	case p.anybody || len(p.strangers) > 0:
		return fmt.Errorf("%s is a link that others could have put there, which is not followed: %s", path, p.why)
	case !p.closed() && link.Nlink > 1:
		return fmt.Errorf("%s is a link that others could have put there, which is not followed: it has %d names", path, link.Nlink)
	}
	return nil
}

// closed says whether only the trusted can have put there what stands there.
func (p *place) closed() bool { return p.given || p.why == "" && !p.open }

// ours says whether a file that others could have put there is one of the trusted
// all the same, and has no second name from which it may have come.
func (p *place) ours() bool { return p.trusts(p.file.Uid) && p.file.Nlink == 1 }

// theirs says whether all that others could have done is to give a file of their
// own: it belongs to the one who owns the folder.
func (p *place) theirs() bool {
	owner := p.file.Uid
	return len(p.strangers) > 0 && !p.anybody && p.folder.Uid == owner && p.file.Nlink == 1 &&
		!slices.ContainsFunc(p.strangers, func(s uint32) bool { return s != owner })
}

// whose says how others come to have put a file there.
func (p *place) whose() error {
	switch path := p.full(); {
	case p.file.Nlink > 1:
		return fmt.Errorf("%s has %d names, and others could have put it there: %s", path, p.file.Nlink, p.reason())
	case !p.trusts(p.file.Uid):
		return fmt.Errorf("%s belongs to user %d, who could have put it there: %s", path, p.file.Uid, p.reason())
	default:
		return fmt.Errorf("%s could have been put there by others: %s", path, p.reason())
	}
}

// reason is why others may have had a hand in it.
func (p *place) reason() string {
	if p.why == "" {
		return p.path + " may be written by others"
	}
	return p.why
}

// full is the path of the file, without links.
func (p *place) full() string { return filepath.Join(p.path, p.name) }

func (p *place) trusts(user uint32) bool { return slices.Contains(p.trusted, user) }

// shared says whether others than the owner may write. The group of this process
// is no other: with many, each user has one of his own.
func (p *place) shared(stat *unix.Stat_t) bool {
	return stat.Mode&0o002 != 0 || stat.Mode&0o020 != 0 && stat.Gid != 0 && int(stat.Gid) != os.Getegid()
}

// onProc says whether the folder is one of /proc.
func (p *place) onProc() bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(p.dir, &fs) == nil && fs.Type == unix.PROC_SUPER_MAGIC
}

// openAs opens what stands there, and nothing that has taken its place since.
func (p *place) openAs(flags int) (fd int, err error) {
	if !p.given {
		flags |= unix.O_NOFOLLOW
	}
	name := p.name
	if name == "" {
		name = "."
	}
	if fd, err = unix.Openat(p.dir, name, flags|always, 0); err != nil {
		return -1, err
	}
	var stat unix.Stat_t
	if err = unix.Fstat(fd, &stat); err == nil && (stat.Dev != p.file.Dev || stat.Ino != p.file.Ino) {
		err = errMoved
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (p *place) close() {
	if p.dir >= 0 {
		unix.Close(p.dir)
		p.dir = -1
	}
}

// readOnly says whether the folder is mounted so that nobody can write in it, as
// those are that Kubernetes makes of a Secret or a ConfigMap.
func readOnly(fd int) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(fd, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
}

func readlink(dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	return string(buf[:max(n, 0)]), err
}
