//go:build linux

package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Version is what is written, and the highest that is understood.
const Version = 1

// State is what one image leaves to the next.
type State struct {
	Version int `json:"version"`
	// PID is that of the master.
	PID int `json:"pid"`
	// Descriptors are all that stay open over the exec.
	Descriptors []int `json:"descriptors"`
	// Master is the state itself.
	Master json.RawMessage `json:"master"`
}

// encode makes the text of a state.
func encode(master []byte, descriptors []int) ([]byte, error) {
	if replaced(master) {
		return nil, errors.New("cannot write down the state: a name or a path is not UTF-8")
	}
	text, err := json.Marshal(State{Version, os.Getpid(), descriptors, master})
	if err != nil {
		return nil, fmt.Errorf("cannot write down the state: %w", err)
	}
	return text, nil
}

// replaced reports whether the encoder had to replace what is not UTF-8: it
// then writes the replacement character as an escape, which it never does for
// one that was there.
func replaced(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		if bytes.HasPrefix(text[i:], []byte(`\ufffd`)) {
			return true
		}
		text = text[i+2:] // what follows a backslash may be one too
	}
}

// decode reads the text of a state, which is that of a master with the pid.
func decode(text []byte, pid int) (*State, error) {
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("cannot read the state: %w", err)
	}
	switch {
	case s.Version < 1 || s.Version > Version:
		return nil, fmt.Errorf("cannot read the state: it has version %d, this program knows %d", s.Version, Version)
	case s.PID != pid:
		return nil, fmt.Errorf("cannot take over: the state is that of process %d", s.PID)
	}
	return &s, nil
}
