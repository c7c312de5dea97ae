package fleet

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
)

// choices is a source of randomness that the fuzzer controls: its bytes first,
// then numbers that follow from them.
type choices struct {
	data []byte
	rest *rand.PCG
}

func (c *choices) Uint64() uint64 {
	if len(c.data) == 0 {
		return c.rest.Uint64()
	}
	var word [8]byte
	n := copy(word[:], c.data)
	c.data = c.data[n:]
	return binary.LittleEndian.Uint64(word[:])
}

// FuzzFleet lets the fuzzer choose what happens in a world of the simulator.
func FuzzFleet(f *testing.F) {
	for seed := range byte(8) {
		f.Add([]byte(strings.Repeat(string(rune('a'+seed)), 64)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(rand.New(&choices{data, rand.NewPCG(uint64(len(data)), 2)}))
		if broken := w.run(300); broken != "" {
			t.Fatalf("%s\n%s", broken, strings.Join(w.log, "\n"))
		}
	})
}
