package process

// Waiting is which of some sockets the processes of a worker wait on for
// connections, as far as that can be seen from outside.
type Waiting struct {
	// On says for each of the sockets whether somebody waits on it.
	On []bool
	// Unsure says that not all could be seen: sockets that nobody seems to wait on
	// may be waited on all the same.
	Unsure bool
	// Elsewhere is where they listen by TCP beside these sockets, filled in by who
	// wants to know.
	Elsewhere []string
}

// Any says whether somebody waits on any of the sockets.
func (w Waiting) Any() bool {
	for _, on := range w.On {
		if on {
			return true
		}
	}
	return false
}
