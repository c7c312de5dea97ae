package scoreboard

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/sealed"
)

const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// Create makes a new board for one worker, zeroed, sealed and mapped. It returns
// an error that is errors.ErrUnsupported on machines that are not little-endian
// and on systems other than Linux.
func Create() (*Memory, error) {
	if !littleEndian {
		return nil, fmt.Errorf("cannot create a scoreboard on a big-endian machine: %w", errors.ErrUnsupported)
	}
	fd, err := sealed.Empty("gosuper-scoreboard")
	if err != nil {
		return nil, fmt.Errorf("cannot create a scoreboard: %w", err)
	}
	file := os.NewFile(uintptr(fd), "scoreboard")
	data, err := seal(fd, Size)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot create a scoreboard: %w", err)
	}
	return &Memory{file: file, data: data}, nil
}

// Adopt takes over the board at descriptor fd, which another image of this
// process made by [Create]. The errors are those of [Open]; the descriptor stays
// the caller's then.
func Adopt(fd int) (*Memory, error) {
	b, err := Open(fd)
	if err != nil {
		return nil, err
	}
	return &Memory{file: os.NewFile(uintptr(fd), "scoreboard"), data: b.data}, nil
}

// seal gives the file its size, takes away everybody's right to change it, and
// maps it.
func seal(fd, size int) (words, error) {
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, os.NewSyscallError("ftruncate", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	return mmap(fd, size)
}

func mmap(fd, size int) (words, error) {
	data, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return data, os.NewSyscallError("mmap", err)
}

// Close unmaps the board and closes the descriptor. A second Close does nothing.
func (m *Memory) Close() error {
	if m.data == nil {
		return nil
	}
	data := m.data
	m.data = nil
	m.file.Close() // the caller may have closed it already
	return os.NewSyscallError("munmap", unix.Munmap(data))
}

// Open maps the board that the master left at descriptor fd, which it does not
// close. It returns an error if there is no sealed memory of [Size] bytes: the
// number may be a lie, and memory that can shrink would kill this process. On
// machines that are not little-endian and on systems other than Linux the error is
// errors.ErrUnsupported.
func Open(fd int) (*Board, error) {
	if !littleEndian {
		return nil, fmt.Errorf("cannot open the scoreboard on a big-endian machine: %w", errors.ErrUnsupported)
	}
	size, err := sealedSize(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot open the scoreboard: %w", err)
	}
	if size != Size {
		return nil, fmt.Errorf("cannot open the scoreboard: descriptor %d has %d bytes, not %d", fd, size, Size)
	}
	data, err := mmap(fd, Size)
	if err != nil {
		return nil, fmt.Errorf("cannot open the scoreboard: %w", err)
	}
	return &Board{data: data}, nil
}

// sealedSize returns the size of memory that can no longer change its size.
func sealedSize(fd int) (int64, error) {
	got, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return 0, fmt.Errorf("descriptor %d is not sealed memory: %w", fd, err)
	}
	if got&seals != seals {
		return 0, fmt.Errorf("descriptor %d lacks seals (has %#x)", fd, got)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, os.NewSyscallError("fstat", err)
	}
	return st.Size, nil
}
