//go:build !linux

package scoreboard

import (
	"errors"
	"fmt"
)

// Create fails: sealed memory exists on Linux only.
func Create() (*Memory, error) {
	return nil, fmt.Errorf("cannot create a scoreboard: %w", errors.ErrUnsupported)
}

// Close does nothing: there is no Memory to be closed here.
func (m *Memory) Close() error { return nil }

// Open fails: sealed memory exists on Linux only.
func Open(fd int) (*Board, error) {
	return nil, fmt.Errorf("cannot open the scoreboard at descriptor %d: %w", fd, errors.ErrUnsupported)
}

// Adopt fails: sealed memory exists on Linux only.
func Adopt(fd int) (*Memory, error) {
	return nil, fmt.Errorf("cannot adopt the scoreboard at descriptor %d: %w", fd, errors.ErrUnsupported)
}
