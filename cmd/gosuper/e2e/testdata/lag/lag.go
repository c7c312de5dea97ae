// Package lag is what takes its time at the start of a program, before any package
// that is initialised after it: an interpreter, heavy imports.
package lag

import (
	"os"
	"time"
)

// Name is the variable that says how long.
const Name = "E2E_LAG"

func init() {
	if d, err := time.ParseDuration(os.Getenv(Name)); err == nil {
		time.Sleep(d)
	}
}
