//go:build !linux

package scoreboard

import (
	"errors"
	"fmt"
)

// CreateFleet fails: sealed memory exists on Linux only.
func CreateFleet(int) (*Fleet, error) {
	return nil, fmt.Errorf("cannot create a fleet page: %w", errors.ErrUnsupported)
}

// OpenFleet fails: sealed memory exists on Linux only.
func OpenFleet(fd int) (*Fleet, error) {
	return nil, fmt.Errorf("cannot open the fleet page at descriptor %d: %w", fd, errors.ErrUnsupported)
}

// Close does nothing: there is no Fleet to be closed here.
func (f *Fleet) Close() error { return nil }

// AdoptFleet fails: sealed memory exists on Linux only.
func AdoptFleet(fd int) (*Fleet, error) {
	return nil, fmt.Errorf("cannot adopt the fleet page at descriptor %d: %w", fd, errors.ErrUnsupported)
}
