package scoreboard

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"
	"time"
)

// inspect reads all that a master reads, and complains about what it must never get.
func inspect(t *testing.T, v View) {
	t.Helper()
	h, ok := v.Header()
	if ok && (h.Version != Version || h.SlotCount > MaxSlots) {
		t.Errorf("Header() accepts %+v", h)
	}
	_ = h.State.String()
	v.Counters()
	v.Histogram()
	slots := v.AppendSlots(nil)
	if len(slots) > int(h.SlotCount)+MaxOverdue || !ok && len(slots) > 0 {
		t.Errorf("%d slots of %d", len(slots), h.SlotCount)
	}
	for _, s := range slots {
		if s.Index < 0 || s.Index >= MaxSlots+MaxOverdue || s.Sequence%2 != 0 || s.Flags&InUse == 0 {
			t.Errorf("AppendSlots gives %+v", s)
		}
	}
	for _, i := range []int{-1, 0, 1, int(h.SlotCount) - 1, MaxSlots - 1, MaxSlots, MaxSlots + MaxOverdue, 1 << 40} {
		v.Request(i)
	}
	for _, r := range v.Requests() {
		if len(r.Method) > MaxMethod || len(r.Path) > MaxPath || len(r.ID) > MaxID {
			t.Errorf("text too long: %+v", r)
		}
		for _, c := range []byte(r.Method + r.Path + r.ID) {
			if c < 0x20 || c > 0x7e {
				t.Errorf("%#x in %+v", c, r)
			}
		}
	}
}

// FuzzView reads boards that hold anything at all: first as it is, then while
// it is written over and over by somebody who knows nothing of sequences.
func FuzzView(f *testing.F) {
	golden, err := os.ReadFile("testdata/board-v1.bin")
	if err != nil {
		f.Fatal(err)
	}
	slots := golden[OffsetSlots : OffsetSlots+6*SlotSize]
	f.Add([]byte(nil), []byte(nil), []byte(nil))
	f.Add(golden[:512], slots, []byte{0, 0, 1, 0, 33, 0, 32, 3})
	f.Add(golden[:512], bytes.Repeat([]byte{0xfe}, 512), bytes.Repeat([]byte{7, 1}, 100))
	f.Add(bytes.Repeat([]byte{0xff}, 512), slots, []byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, header, slots, torn []byte) {
		b := Unshared()
		b.WriteHeader(1)
		copy(b.data, header[:min(len(header), HeaderSize)])
		copy(b.data[OffsetSlots:], slots)
		v := View{mem: &Memory{data: b.data}}
		inspect(t, v)

		begun, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			close(begun)
			for len(torn) >= 2 {
				at := int(binary.LittleEndian.Uint16(torn)) % (Size / 8)
				b.data.u64(8 * at).Add(uint64(torn[0])<<56 | uint64(torn[1]))
				torn = torn[1:]
			}
		}()
		<-begun
		for end := time.Now().Add(100 * time.Microsecond); time.Now().Before(end); {
			inspect(t, v)
		}
		<-stopped
	})
}
