// Command tests runs all tests of the repository, as go test would, and at the end
// lists what took the longest and, in one place, those that were left out and what they
// lacked: a tool, a right, something of the kernel. Its arguments are further flags for go test.
// With CI set in the environment, a test that was left out is a failure.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tests:", err)
		os.Exit(1)
	}
}

// run has the arguments last but for the packages, so that they win.
func run(args []string) error {
	cmd := exec.Command("go", slices.Concat([]string{"test", "-json", "-timeout", "60m"}, args, []string{"./..."})...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	skipped, took, unread := report(os.Stdout, out)
	if unread != nil {
		cmd.Process.Kill()
	}
	if err := cmd.Wait(); unread == nil && err != nil {
		unread = fmt.Errorf("go test: %w", err)
	}
	took.write(os.Stdout)
	skipped.write(os.Stdout)
	if unread == nil && len(skipped) > 0 && os.Getenv("CI") != "" {
		return fmt.Errorf("%d tests were left out", len(skipped))
	}
	return unread
}
