//go:build linux

package process

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What the kernel finds too long is named, and what it says is not shown.
func TestStartTooLong(t *testing.T) {
	long := strings.Repeat("x", maxString())
	many := make([]string, 60)
	for i := range many {
		many[i] = "V=" + long[:120<<10]
	}
	for _, tc := range []struct {
		name string
		spec Spec
		want string
		hint string
	}{
		{"variable", Spec{Env: []string{"A=1", "SECRET=" + long[:maxString()-8]}}, `the environment variable "SECRET" has 131070 bytes with its name`, "MAX_ARG_STRLEN"},
		{"argument", Spec{Argv: []string{"true", long}}, "argument 1 of the command has 131071 bytes", "MAX_ARG_STRLEN"},
		{"all together", Spec{Env: many}, "the command and the environment together have 73", "ulimit -s"},
	} {
		tc.spec.Path = "/bin/true"
		_, err := startOnMain(tc.spec)
		e, ok := errors.AsType[*StartError](err)
		if !ok || !errors.Is(err, unix.E2BIG) || !strings.Contains(err.Error(), tc.want) || !strings.Contains(e.Hint, tc.hint) || strings.Contains(err.Error(), "xxx") {
			t.Errorf("%s: %.300v", tc.name, err)
		}
	}
}
