//go:build unix && !linux

package process

import "errors"

// peek cannot look at a zombie without taking it: neither syscall nor x/sys
// has waitid here.
func peek() (int, error) { return 0, errors.ErrUnsupported }

// BecomeSubreaper is Linux's.
func BecomeSubreaper() error { return errors.ErrUnsupported }
