package process

import "syscall"

// Orphan is a process that this one has adopted: its parent has ended, and left it
// behind. What it says of itself, environment and command, may be a lie.
type Orphan struct {
	Pid     int
	Group   int    // its process group; 0: it is not known
	Session int    // likewise
	Ended   bool   // it waits to be reaped, or was
	Status  Status // of one that was reaped

	// Of one that is alive.
	Command string   // with its arguments, cut and fit for a log
	Env     []string // as it was started; nil: it cannot be read
}

// Value is a variable of the environment it was started with; "" if there is none.
func (o Orphan) Value(name string) string {
	for _, entry := range o.Env {
		if len(entry) > len(name) && entry[len(name)] == '=' && entry[:len(name)] == name {
			return entry[len(name)+1:]
		}
	}
	return ""
}

// Kill ends it, and what is in its process group if it leads one. It must not have
// been reaped.
func (o Orphan) Kill() error {
	if o.Group == o.Pid {
		return KillGroup(o.Pid)
	}
	return kill(o.Pid, o.Pid, syscall.SIGKILL)
}
