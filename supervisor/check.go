//go:build linux

package supervisor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gosuper/gosuper/config"
)

// Findings are what a configuration means on this machine.
type Findings struct {
	// Chosen is what was chosen where a key leaves it to gosuper, and why, by the
	// name of the key.
	Chosen map[string]string
	// Warnings say what does not fit.
	Warnings []string
}

// Check says whether a master could start with the configuration, as far as
// that can be told without binding an address. The error is a *config.Error.
func Check(c *config.Config) (Findings, error) {
	r, err := resolve(c)
	if err != nil {
		return Findings{}, err
	}
	found := Findings{Chosen: map[string]string{}, Warnings: r.memory.Warnings}
	if r.auto != "" {
		found.Chosen["workers"] = strconv.Itoa(r.workers) + ": " + r.auto
	}
	if r.tight != "" {
		found.Warnings = append([]string{r.tight}, found.Warnings...)
	}
	if r.memory.Why != "" {
		found.Chosen["max_worker_memory_hard"] = limitText(r.memory.Hard) + ": " + r.memory.Why
	}
	if server, idle := c.PlainServer(), c.Unheeded(); server != "" && len(idle) > 0 {
		found.Warnings = append(found.Warnings, fmt.Sprintf("settings have no effect, as %s does not speak the worker protocol by itself: %s; use its own, or see gosuper help protocol",
			server, strings.Join(idle, ", ")))
	}
	return found, nil
}
