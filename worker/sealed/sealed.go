//go:build linux

// Package sealed makes memory to be handed to other processes as a descriptor: for one
// thing with a text that nobody can change any more, for another empty, for who seals
// it his own way (memfd_create(2)).
package sealed

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// Empty returns a descriptor of memory of no size that nothing is sealed of yet. It is
// close-on-exec and never executable, which some hardened systems insist on
// (vm.memfd_noexec).
func Empty(name string) (fd int, err error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err = unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // a kernel before 6.3
		fd, err = unix.MemfdCreate(name, flags)
	}
	return fd, os.NewSyscallError("memfd_create", err)
}

// New returns a descriptor of memory as Empty makes it that holds the text.
func New(name string, text []byte) (fd int, err error) {
	fd, err = Empty(name)
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
