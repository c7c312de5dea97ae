//go:build race

package e2e

import "time"

const raceEnabled = true

// bootTime is enough for a worker to get to its own code, whatever else the
// machine does.
const bootTime = 8 * time.Second
