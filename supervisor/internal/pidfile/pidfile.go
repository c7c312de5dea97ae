//go:build linux

// Package pidfile is the file that names a running master.
//
// It is held by flock: in containers pids repeat, so that a pid which is alive
// proves nothing.
package pidfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/files"
)

// A File is a pid file that this process holds; nil: there is none.
type File struct {
	fd   int      `state:"fd,fd"`
	file *os.File `state:"-"`
	path string   `state:"path"`
}

// Open takes the file and writes the pid of this process into it; "" is no file.
func Open(path string) (*File, error) {
	if path == "" {
		return nil, nil
	}
	for {
		f, err := files.OpenPID(path)
		if err != nil {
			return nil, fmt.Errorf("cannot write the pid file: %w", err)
		}
		if err := lock(f); err != nil {
			owner := make([]byte, 32)
			n, _ := f.ReadAt(owner, 0)
			f.Close()
			return nil, fmt.Errorf("cannot take the pid file %s: it is held by a running master (pid %.20s)", path, firstLine(owner[:n]))
		}
		if !files.IsAt(f, path) { // the holder before us removed the file that we opened
			f.Close()
			continue
		}
		err = checkPid(f)
		if err == nil {
			err = write(f)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("cannot write the pid file: %w", err)
		}
		return &File{fd: int(f.Fd()), file: f, path: path}, nil
	}
}

// maxPid is the length of the longest text that is taken for a pid.
const maxPid = 24

// checkPid says why the file is none for a pid, and not to be lost: it says
// something else.
func checkPid(f *os.File) error {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, maxPid+1))
	if err != nil {
		return err
	}
	if pid := bytes.TrimSpace(text); len(text) > maxPid || len(bytes.Trim(pid, "0123456789")) > 0 {
		return fmt.Errorf("%s is the file of something else: it has more than a pid in it", f.Name())
	}
	return nil
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

// Restore is the pid file that this process has held as the descriptor since before
// it became another program.
func (f *File) Reopen() { f.file = os.NewFile(uintptr(f.fd), f.path) }

// Fd is the descriptor, for [Restore].
func (p *File) Fd() int { return int(p.file.Fd()) }

// Path is where the file is, as it was given to Open; "": there is none.
func (p *File) Path() string {
	if p == nil {
		return ""
	}
	return p.path
}

// Close removes the file and gives it free.
func (p *File) Close() {
	if p == nil {
		return
	}
	_ = files.Remove(p.file, p.path) // unless somebody has put another master's there
	p.file.Close()
}
