//go:build unix && !linux

package supervisor

import "os"

// ignoredHere are signals that only Linux has.
var ignoredHere []os.Signal
