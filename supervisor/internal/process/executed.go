//go:build linux

package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// watchExec adds a descriptor that closes when the shim executes the worker's
// program, and reports that. The function it returns is to be called when the
// shim was started, or was not.
func (s *Spec) watchExec(files *[]uintptr) (started func(bool), err error) {
	if s.Executed == nil {
		return func(bool) {}, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	*files = append(*files, uintptr(fds[1]))
	return func(ok bool) {
		unix.Close(fds[1])
		r := os.NewFile(uintptr(fds[0]), "exec")
		if !ok {
			r.Close()
			return
		}
		go func() {
			var b [1]byte
			_, _ = r.Read(b[:]) // nobody writes: it returns at the end of file
			r.Close()
			s.Executed()
		}()
	}, nil
}
