//go:build !linux

package scoreboard

import (
	"errors"
	"testing"
)

func TestUnsupported(t *testing.T) {
	if _, err := Create(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Create() = %v, want ErrUnsupported", err)
	}
	if _, err := Open(3); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Open(3) = %v, want ErrUnsupported", err)
	}
}
