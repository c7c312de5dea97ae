//go:build linux

package manager

import "fmt"

// Summary is what a service is doing, for the people who ask the service manager.
type Summary struct {
	Phase      Phase
	Target     int // workers that there are to be
	Ready      int // of them
	Alive      int // workers that are left
	Generation int
	Trouble    string // what is wrong with the workers; "": nothing
	Wait       string // what missing ones wait for; "": for nothing but themselves
	GaveUp     string // why they could not boot; "": they could
	Reload     string // how the last reload failed; "": it did not
}

// String says it in one line.
func (s Summary) String() string {
	workers := count(s.Target) + " ready"
	if s.Ready != s.Target {
		workers = fmt.Sprintf("%d of %s", s.Ready, workers)
	}
	workers += fmt.Sprintf(", generation %d", s.Generation)
	if s.Wait != "" {
		workers += "; " + s.Wait
	}
	if s.Trouble != "" {
		workers = s.Trouble + ": " + workers
	}
	switch {
	case s.Phase == Stopping && s.GaveUp != "":
		return "gave up: " + s.GaveUp
	case s.Phase == Stopping:
		return "stopping: " + count(s.Alive) + " left"
	case s.Phase == Starting && s.Trouble == "":
		return "starting: " + workers
	case s.Phase == Reloading:
		return "reloading: " + workers
	case s.Reload != "":
		return workers + "; reload " + s.Reload
	}
	return workers
}

// count is a number of workers for people.
func count(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}
