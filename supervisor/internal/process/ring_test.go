//go:build linux

package process

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestRing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var r ring
	var all []byte
	for len(all) < 5*keep {
		b := make([]byte, rng.IntN(2*keep))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		r.write(b)
		all = append(all, b...)
		if want := all[max(0, len(all)-keep):]; !bytes.Equal(r.bytes(), want) {
			t.Fatalf("after %d bytes: not the last %d", len(all), len(want))
		}
		if r.dropped != (len(all) > keep) {
			t.Fatalf("after %d bytes dropped is %v", len(all), r.dropped)
		}
	}
}
