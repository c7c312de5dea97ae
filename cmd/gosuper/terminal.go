//go:build linux

package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor"
)

// newOutput describes a file that somebody may be looking at.
func newOutput(f *os.File, environ []string) output {
	o := output{screen: &screen{w: supervisor.NewOutput(f)}, terminal: isTerminal(f)}
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
