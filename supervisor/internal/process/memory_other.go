//go:build unix && !linux

package process

import (
	"errors"
	"fmt"
	"time"
)

// Trees needs /proc, which is Linux's.
func Trees([]int) ([]Tree, error) {
	return nil, fmt.Errorf("cannot find the processes of workers: %w", errors.ErrUnsupported)
}

// Resident is 0: nothing is known.
func (t Tree) Resident() uint64 { return 0 }

// Memory needs /proc, which is Linux's.
func (t Tree) Memory() (bytes uint64, kind MemoryKind, err error) {
	return 0, "", fmt.Errorf("cannot read the memory of a worker: %w", errors.ErrUnsupported)
}

// CPU needs /proc, which is Linux's.
func (t Tree) CPU() (time.Duration, error) {
	return 0, fmt.Errorf("cannot read the time of a worker: %w", errors.ErrUnsupported)
}

// Private needs /proc, which is Linux's.
func (t Tree) Private() (bytes uint64, err error) {
	return 0, fmt.Errorf("cannot read the memory of a worker: %w", errors.ErrUnsupported)
}
