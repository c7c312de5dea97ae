package scoreboard

import "os"

// A Memory is one board as its master holds it: the descriptor that the worker
// inherits and the mapping that the master reads. It is not safe for concurrent
// use with Close.
type Memory struct {
	file *os.File
	data words // nil once closed
}

// File returns the descriptor to be inherited by the worker. It is close-on-exec
// and belongs to the Memory; closing it after the spawn is fine, and leaves the
// mapping in place.
func (m *Memory) File() *os.File { return m.file }

// View returns the master's reading of the board.
func (m *Memory) View() View { return View{mem: m} }
