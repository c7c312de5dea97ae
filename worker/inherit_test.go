//go:build linux

package worker

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestCommandOf(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read line", "two\nlines\x1b[2J", strings.Repeat("é", 300))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	pid := strconv.Itoa(cmd.Process.Pid)
	const start = "sh -c read line two lines [2J "
	want := start + strings.Repeat("é", (maxCommand-len(start))/2) + " ..."
	// An exec closes its descriptors, which ends Start, before the words are in place.
	until(t, "the command is "+want, func() bool { return commandOf(pid) == want })
	// One that has died and is not reaped has no command line any more.
	stdin.Close()
	until(t, "the name alone is left", func() bool { return commandOf(pid) == "sh" })
	cmd.Wait()
	if got := commandOf(pid); got != "" {
		t.Errorf("of nobody the command is %q", got)
	}
}
