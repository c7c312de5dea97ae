package fleet

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
)

var (
	steps     = flag.Int("steps", 1_000_000, "steps of the simulator")
	firstSeed = flag.Uint64("seed", 1, "first seed of the simulator")
)

// TestSimulate plays random worlds against the oracles.
func TestSimulate(t *testing.T) {
	total, worlds := 0, 0
	for seed := uint64(*firstSeed); total < *steps; seed++ {
		w := newWorld(rand.New(rand.NewPCG(seed, 1)))
		broken := w.run(2000)
		total += w.steps
		worlds++
		if broken != "" {
			t.Fatalf("world %d after %d steps: %s\n%s", seed, w.steps, broken, strings.Join(w.log, "\n"))
		}
	}
	t.Logf("%d steps in %d worlds", total, worlds)
}
