//go:build unix && !linux

package supervisor

import (
	"errors"
	"fmt"
)

// sealed needs memory that can be sealed, which is Linux's.
func sealed(name string, _ []byte) (int, error) {
	return -1, fmt.Errorf("cannot create %s: %w", name, errors.ErrUnsupported)
}
