package scoreboard

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/sealed"
)

// CreateFleet makes the memory for at least so many places, a multiple of 64,
// zeroed, sealed and mapped. It returns an error that is errors.ErrUnsupported on
// machines that are not little-endian and on systems other than Linux.
func CreateFleet(places int) (*Fleet, error) {
	if !littleEndian {
		return nil, fmt.Errorf("cannot create a fleet page on a big-endian machine: %w", errors.ErrUnsupported)
	}
	if places < 1 {
		return nil, fmt.Errorf("cannot create a fleet page for %d places", places)
	}
	size := (places*placeSize + fleetPage - 1) / fleetPage * fleetPage
	fd, err := sealed.Empty("gosuper-fleet")
	if err != nil {
		return nil, fmt.Errorf("cannot create a fleet page: %w", err)
	}
	file := os.NewFile(uintptr(fd), "fleet")
	data, err := seal(fd, size)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot create a fleet page: %w", err)
	}
	return &Fleet{file: file, data: data}, nil
}

// OpenFleet maps the memory that the master left at descriptor fd, which it does
// not close. The errors are those of [Open].
func OpenFleet(fd int) (*Fleet, error) {
	if !littleEndian {
		return nil, fmt.Errorf("cannot open the fleet page on a big-endian machine: %w", errors.ErrUnsupported)
	}
	size, err := sealedSize(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot open the fleet page: %w", err)
	}
	if size < fleetPage || size%fleetPage != 0 || size > maxFleet {
		return nil, fmt.Errorf("cannot open the fleet page: descriptor %d has %d bytes, not whole pages of %d", fd, size, fleetPage)
	}
	data, err := mmap(fd, int(size))
	if err != nil {
		return nil, fmt.Errorf("cannot open the fleet page: %w", err)
	}
	return &Fleet{data: data}, nil
}

// AdoptFleet takes over the memory at descriptor fd, which another image of this
// process made by [CreateFleet]. The errors are those of [OpenFleet]; the
// descriptor stays the caller's then.
func AdoptFleet(fd int) (*Fleet, error) {
	f, err := OpenFleet(fd)
	if err == nil {
		f.file = os.NewFile(uintptr(fd), "fleet")
	}
	return f, err
}

// maxFleet is more than anybody has processes.
const maxFleet = 1 << 28

// Close unmaps the memory, and closes the descriptor if there is one. A second
// Close does nothing.
func (f *Fleet) Close() error {
	if f.data == nil {
		return nil
	}
	data := f.data
	f.data = nil
	if f.file != nil {
		f.file.Close() // the caller may have closed it already
	}
	return os.NewSyscallError("munmap", unix.Munmap(data))
}
