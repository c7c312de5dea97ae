package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 256 << 10

// readFile reads a file of at most maxFile bytes, which has to be a regular one:
// a named pipe would keep a master waiting for a writer, and opening a device may
// already do something to it.
func (s Source) readFile(path string) ([]byte, error) {
	open := s.Open
	if open == nil {
		open = openFile
	}
	f, err := open(path)
	if errors.Is(err, syscall.ENXIO) { // which is what opening a socket gives
		err = errors.New("it is a socket or a device, not a regular file")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if m := info.Mode(); !m.IsRegular() {
		return nil, fmt.Errorf("it is %s, not a regular file", kindOfFile(m))
	}
	return readLimited(f)
}

// openFile opens whatever is there.
func openFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}

// readLimited reads to the end, which comes after at most maxFile bytes.
func readLimited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d KiB", maxFile>>10)
	}
	return data, err
}

// kindOfFile says what a file is that is no regular one.
func kindOfFile(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// Once reads File now if it is a pipe or a device, as with a shell's <(...) or
// /dev/stdin, which may take until somebody writes. What it says is read once:
// every Load of the source returned finds the same text. It is for the first
// start, when nothing has to be kept running beside it. Of any other file, and
// of one that cannot be read, the source is returned as it is.
func (s Source) Once() Source {
	path := s.path()
	info, err := os.Stat(path)
	if s.File == "" || err != nil || info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) == 0 {
		return s
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		return s
	}
	defer f.Close()
	if data, err := readLimited(f); err == nil {
		s.text = new(string(data))
	}
	return s
}

// path is File as seen from Dir.
func (s Source) path() string {
	if filepath.IsAbs(s.File) {
		return s.File
	}
	return filepath.Join(s.Dir, s.File)
}

// usualFile is what examples call a file of gosuper.
const usualFile = "supervisor.toml"

// whatToSupervise is what to do where there is no command.
func (s Source) whatToSupervise() string {
	if s.File != "" {
		return `gosuper [flags] COMMAND [ARG...], or command = ["./agent-server"] in the file`
	}
	if info, err := os.Stat(filepath.Join(s.Dir, usualFile)); err == nil && info.Mode().IsRegular() {
		return "there is a " + usualFile + " in the working folder: gosuper -c " + usualFile
	}
	return "gosuper [flags] COMMAND [ARG...], as in gosuper -w 4 -b :8000 ./agent-server, or gosuper -c FILE; gosuper help has the flags"
}
