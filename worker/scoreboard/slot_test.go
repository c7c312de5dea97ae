package scoreboard

import (
	"encoding/binary"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestBucketBounds(t *testing.T) {
	for i := range HistogramBuckets - 1 {
		bound := BucketBound(i)
		if got := bucket(bound - 1); got != i {
			t.Errorf("%v is in bucket %d, want %d", bound-1, got, i)
		}
		if got := bucket(bound); got != i+1 {
			t.Errorf("%v is in bucket %d, want %d", bound, got, i+1)
		}
	}
	for _, i := range []int{-1, HistogramBuckets - 1, HistogramBuckets} {
		if got := BucketBound(i); got != 0 {
			t.Errorf("BucketBound(%d) = %v, want none", i, got)
		}
	}
	if got := bucket(1<<63 - 1); got != HistogramBuckets-1 {
		t.Errorf("the longest duration is in bucket %d", got)
	}
}

// TestAllSlots fills the board, from several sides at once, and empties it.
func TestAllSlots(t *testing.T) {
	b := Unshared()
	b.WriteHeader(1)
	v := View{mem: &Memory{data: b.data}}
	for range 2 {
		var wg sync.WaitGroup
		var mu sync.Mutex // guards taken and none
		taken, none := make(map[int]bool), 0
		for i := range 8 {
			wg.Go(func() {
				for j := range MaxSlots / 8 * 2 {
					slot := b.Take(i*7+j, 1, 0, "GET", "/", "")
					mu.Lock()
					if slot == NoSlot {
						none++
					} else if taken[slot] {
						t.Errorf("slot %d given twice", slot)
					}
					taken[slot] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		delete(taken, NoSlot)
		if len(taken) != MaxSlots || none != MaxSlots {
			t.Fatalf("%d slots taken, %d found none", len(taken), none)
		}
		if n := len(v.AppendSlots(nil)); n != MaxSlots {
			t.Errorf("%d slots seen", n)
		}
		for slot := range taken {
			b.Free(slot)
		}
		if n := len(v.AppendSlots(nil)); n != 0 {
			t.Errorf("%d slots seen, all free", n)
		}
	}
	if n := v.Counters().Unslotted; n != 2*MaxSlots {
		t.Errorf("%d counted without a slot", n)
	}
	b.Progress(NoSlot, 1)
	b.Mark(NoSlot, Ended)
	b.Free(NoSlot)
}

// TestOverdue shows what is past its deadline when all slots are taken by others.
func TestOverdue(t *testing.T) {
	b := Unshared()
	b.WriteHeader(1)
	v := View{mem: &Memory{data: b.data}}
	for range MaxSlots {
		b.Take(NoSlot, 1, 0, "GET", "/", "")
	}
	for range 2 {
		for i := range MaxOverdue {
			slot := b.TakeOverdue(Slot{Start: 5, Progress: 6, Deadline: 7, Flags: Streaming | Ended}, "PUT", "/late", "id")
			want := Request{Slot{MaxSlots + i, 0, 5, 6, 7, InUse | Streaming | Ended}, "PUT", "/late", "id"}
			r, ok := v.Request(slot)
			if r.Sequence = 0; !ok || r != want {
				t.Fatalf("slot %d holds %+v, want %+v", slot, r, want)
			}
		}
		if slot := b.TakeOverdue(Slot{}, "", "", ""); slot != NoSlot {
			t.Errorf("one too many has slot %d", slot)
		}
		if n := len(v.AppendSlots(nil)); n != MaxSlots+MaxOverdue {
			t.Errorf("%d slots seen", n)
		}
		for i := range MaxOverdue {
			b.Free(MaxSlots + i)
		}
		if n := len(v.AppendSlots(nil)); n != MaxSlots {
			t.Errorf("%d slots seen after the end of the others", n)
		}
	}
	if at := &b.data[OffsetOverdueSlot+MaxOverdue*SlotSize-1]; at != &b.data[OffsetSlots-1] {
		t.Error("the overdue slots do not end where the others begin")
	}
}

func TestHint(t *testing.T) {
	b := Unshared()
	if got := b.Take(100, 1, 0, "", "", ""); got != 100 {
		t.Errorf("slot %d, want the one of the hint", got)
	}
	if got := b.Take(100, 1, 0, "", "", ""); got == 100 || got < 64 || got >= 128 {
		t.Errorf("slot %d, want another one nearby", got)
	}
	for _, hint := range []int{-5, MaxSlots, 1 << 40} {
		if got := b.Take(hint, 1, 0, "", "", ""); got < 0 || got >= MaxSlots {
			t.Errorf("Take(%d) = %d", hint, got)
		}
	}
}

// TestTornReads reads slots that change hands all the time: a request that is
// accepted is one that was there, whole.
func TestTornReads(t *testing.T) {
	b := Unshared()
	b.WriteHeader(1)
	v := View{mem: &Memory{data: b.data}}
	texts := make([]string, 16)
	for i := range texts {
		texts[i] = strings.Repeat(string(rune('a'+i)), 8*(i+1))
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := int64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			text := texts[n%16]
			slot := b.Take(0, n, n, text, text, text)
			b.Free(slot)
		}
	})
	seen := 0
	for end := time.Now().Add(10 * time.Second); seen < 2000 && time.Now().Before(end); {
		r, ok := v.Request(0)
		if !ok {
			continue
		}
		seen++
		want := texts[r.Start%16]
		if r.Deadline != r.Start || r.Progress != r.Start || r.Path != want ||
			!strings.HasPrefix(want, r.Method) || !strings.HasPrefix(want, r.ID) || r.Sequence%2 != 0 {
			t.Fatalf("a mixed request: %+v, want text %q", r, want)
		}
	}
	close(stop)
	wg.Wait()
	if seen == 0 {
		t.Error("no request was ever seen")
	}
}

func BenchmarkSlot(b *testing.B) {
	board := Unshared()
	slot := 17
	for b.Loop() {
		slot = board.Take(slot, 1, 0, "GET", "/agent/stream", "")
		board.Free(slot)
	}
}

func BenchmarkSlotWithID(b *testing.B) {
	board := Unshared()
	slot := 17
	for b.Loop() {
		slot = board.Take(slot, 1, 0, "GET", "/agent/stream", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736")
		board.Free(slot)
	}
}

func BenchmarkSlotParallel(b *testing.B) {
	board := Unshared()
	b.RunParallel(func(pb *testing.PB) {
		slot := NoSlot
		for pb.Next() {
			slot = board.Take(slot, 1, 0, "GET", "/agent/stream", "")
			board.Free(slot)
		}
	})
}

// BenchmarkAppendSlots is what one board costs a master that looks for deadlines.
func BenchmarkAppendSlots(b *testing.B) {
	board := Unshared()
	board.WriteHeader(1)
	v := View{mem: &Memory{data: board.data}}
	for i := range 10 {
		board.Take(NoSlot, int64(i), 0, "GET", "/agent/stream", "")
	}
	slots := make([]Slot, 0, MaxSlots)
	for b.Loop() {
		slots = v.AppendSlots(slots[:0])
	}
}

// TestPlain compares what looks at eight bytes at once with what looks at each.
func TestPlain(t *testing.T) {
	edges := []byte{0, 1, 0x1f, 0x20, 0x21, 'a', 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x9f, 0xa0, 0xfe, 0xff}
	for i := range 8 {
		for _, a := range edges {
			for _, b := range edges {
				text := []byte("12345678")
				text[i], text[(i+1)%8] = a, b
				word, ok := plain(string(text))
				if want := printable(a) == a && printable(b) == b; ok != want {
					t.Fatalf("plain(%q) is %v", text, ok)
				}
				if ok && string(binary.LittleEndian.AppendUint64(nil, word)) != string(text) {
					t.Fatalf("plain(%q) = %#x", text, word)
				}
			}
		}
	}
	if _, ok := plain("1234567"); ok {
		t.Error("seven bytes are no word")
	}
}
