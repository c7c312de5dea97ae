package supervisor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// sealed returns a descriptor of memory that holds the text and that nobody
// can change.
func sealed(name string, text []byte) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("cannot create %s: %w", name, err)
	}
	if _, err = unix.Pwrite(fd, text, 0); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS,
			unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("cannot fill %s: %w", name, err)
	}
	return fd, nil
}
