package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pidfile is a file with the pid of the master, held by flock: in containers
// pids repeat, so that a pid which is alive proves nothing. nil: there is none.
type pidfile struct {
	file *os.File
	path string
}

// openPidfile takes the file and writes the pid into it; "" is no file.
func openPidfile(path string) (*pidfile, error) {
	if path == "" {
		return nil, nil
	}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("cannot write the pid file: %w", err)
		}
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			f.Close()
			return nil, errors.Join(err, fmt.Errorf("cannot write the pid file %s: it is not a regular file", path))
		}
		if err := lock(f); err != nil {
			owner := make([]byte, 32)
			n, _ := f.ReadAt(owner, 0)
			f.Close()
			return nil, fmt.Errorf("cannot take the pid file %s: it is held by a running master (pid %.20s)", path, firstLine(owner[:n]))
		}
		if !isAt(f, path) { // the holder before us removed the file that we opened
			f.Close()
			continue
		}
		if err := write(f); err != nil {
			f.Close()
			return nil, fmt.Errorf("cannot write the pid file: %w", err)
		}
		return &pidfile{file: f, path: path}, nil
	}
}

// isAt says whether the open file is the one at the path.
func isAt(f *os.File, path string) bool {
	ours, err := f.Stat()
	there, pathErr := os.Lstat(path)
	return err == nil && pathErr == nil && os.SameFile(ours, there)
}

func lock(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var held error
	err = c.Control(func(fd uintptr) { held = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
	return errors.Join(err, held)
}

func write(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func firstLine(b []byte) string {
	for i, c := range b {
		if c < '0' || c > '9' {
			b = b[:i]
			break
		}
	}
	if len(b) == 0 {
		return "unknown"
	}
	return string(b)
}

// close removes the file and gives it free.
func (p *pidfile) close() {
	if p == nil {
		return
	}
	if isAt(p.file, p.path) { // somebody may have put another master's there
		os.Remove(p.path)
	}
	p.file.Close()
}
