package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// newOutput describes a file that somebody may be looking at. w is how it is
// written to.
func newOutput(f *os.File, w io.Writer, environ []string) output {
	o := output{Writer: w, terminal: isTerminal(f)}
	o.colour = o.terminal
	for _, e := range environ {
		// https://no-color.org: set to anything but nothing.
		value, set := strings.CutPrefix(e, "NO_COLOR=")
		if set && value != "" || e == "TERM=dumb" {
			o.colour = false
		}
	}
	return o
}

func isTerminal(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var is bool
	err = conn.Control(func(fd uintptr) {
		_, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
		is = err == nil
	})
	return is && err == nil
}
