//go:build linux

// Package sealed makes memory that holds a text and that nobody can change, to be
// handed to other processes as a descriptor.
package sealed

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// New returns a descriptor of memory with the text, close-on-exec and never
// executable, which some hardened systems insist on (vm.memfd_noexec).
func New(name string, text []byte) (fd int, err error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err = unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // a kernel before 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return -1, fmt.Errorf("cannot create %s: %w", name, err)
	}
	for rest := text; len(rest) > 0 && err == nil; {
		var n int
		n, err = unix.Pwrite(fd, rest, int64(len(text)-len(rest)))
		rest = rest[max(n, 0):]
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("cannot fill %s: %w", name, err)
	}
	return fd, nil
}

// Is says whether a descriptor is memory that New has made, in whatever process.
func Is(fd int) bool {
	got, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	return err == nil && got&seals == seals
}
