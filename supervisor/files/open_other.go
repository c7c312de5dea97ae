//go:build unix && !linux

package files

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// OpenLog opens a file for appending, and makes it if it is not there.
func OpenLog(path string) (fd int, err error) {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_APPEND | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	if fd, err = unix.Open(path, flags, 0o640); err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// CheckLog says whether [OpenLog] would have a file.
func CheckLog(path string) error {
	if err := unix.Access(path, unix.W_OK); err != nil && err != unix.ENOENT {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// OpenInput opens a file for reading, and does not wait.
func OpenInput(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// OpenPID opens a file for the pid of this process, and makes it if it is not there.
func OpenPID(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0o644)
}

// IsAt says whether the open file is the one at the path.
func IsAt(f *os.File, path string) bool {
	ours, err := f.Stat()
	there, pathErr := os.Lstat(path)
	return err == nil && pathErr == nil && os.SameFile(ours, there)
}

// Remove removes the path if the open file is the one at it.
func Remove(f *os.File, path string) error {
	if !IsAt(f, path) {
		return nil
	}
	return os.Remove(path)
}

// OpenProgram opens an executable and says where it is without links.
func OpenProgram(path string) (f *os.File, resolved string, err error) {
	if resolved, err = filepath.EvalSymlinks(path); err != nil {
		return nil, "", err
	}
	f, err = os.Open(resolved)
	return f, resolved, err
}
