//go:build unix && !linux

package handover

import (
	"errors"
	"fmt"
	"syscall"
)

var errUnsupported = fmt.Errorf("cannot upgrade in place: %w", errors.ErrUnsupported)

// Write needs memory that can be sealed, which is Linux's.
func Write(any, []int) (int, error) { return -1, errUnsupported }

// Read is as Write.
func Read(int, int) (*State, error) { return nil, errUnsupported }

// Path is the path of a descriptor.
func Path(fd int) string { return fmt.Sprintf("/dev/fd/%d", fd) }

// Exec is as Write.
func Exec(int, []string, []string, int, []int, func() []syscall.Signal) error {
	return errUnsupported
}

// Adopt is as Write.
func (s *State) Adopt([]int) error { return errUnsupported }
