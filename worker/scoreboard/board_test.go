package scoreboard

import (
	"flag"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata/board-v1.bin")

// TestGolden does the steps of testdata/board-v1.txt.
func TestGolden(t *testing.T) {
	b := Unshared()
	v := View{mem: &Memory{data: b.data}}

	v.Hold()
	b.WriteHeader(4242)
	b.CanHold()
	b.CanTell()
	b.SetState(Ready)
	for range 3 {
		b.ConnAccepted()
	}
	b.ConnClosed()
	for range 9 {
		b.RequestStarted()
	}
	for _, status := range []int{101, 200, 204, 301, 404, 503, 599, 799} {
		b.RequestFinished(status)
	}
	for _, d := range []time.Duration{0, 16383, 16384, 24576, time.Millisecond, time.Hour, 24 * time.Hour} {
		b.Observe(d)
	}
	b.TimedOut()
	b.TimedOut()
	b.Beat()
	b.Failed(100)
	b.Succeeded(50)
	b.Failed(200)
	b.Failed(300)
	b.Take(NoSlot, 1000, 0, "GET", "/agent/stream", "")
	b.Take(NoSlot, 2000, 9000, "POST", "/a\x1b[2J\u00e9\n", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736")
	b.Take(5, 3000, 0, "PROPFIND-AND-MORE", "/"+strings.Repeat("0123456789", 13), strings.Repeat("x", 65))
	b.Take(NoSlot, 4000, 0, "DELETE", "/gone", "id")
	b.Progress(0, 1500)
	b.Mark(0, Streaming)
	b.Mark(1, Ended)
	b.Mark(5, Upgraded)
	b.Free(2)
	v.SetLeaving(0x8000000000000005)
	v.SetDrainUntil(0x0123456789abcdef)
	v.SetAbortFollows(true)
	v.Release(6)
	v.SetBusyAt(3)
	b.SetState(Draining)

	const golden = "testdata/board-v1.bin"
	if *update {
		if err := os.WriteFile(golden, b.data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != Size {
		t.Fatalf("%s has %d bytes, want %d", golden, len(want), Size)
	}
	for i := range want {
		if b.data[i] != want[i] {
			t.Fatalf("byte %d is %#02x, want %#02x", i, b.data[i], want[i])
		}
	}

	h, ok := v.Header()
	if want := (Header{Version: 1, HeaderSize: 4096, SlotSize: 256, SlotCount: 6, PID: 4242, State: Draining}); !ok || h != want {
		t.Errorf("Header() = %+v, %v, want %+v, true", h, ok, want)
	}
	wantCounters := Counters{Started: 9, Finished: 8, Status: [5]uint64{1, 2, 1, 1, 2}, Accepted: 3, Open: 2, Timeouts: 2, Beat: 1}
	if c := v.Counters(); c != wantCounters {
		t.Errorf("Counters() = %+v, want %+v", c, wantCounters)
	}
	wantSlots := []Request{
		{Slot{0, 2, 1000, 1500, 0, InUse | Streaming}, "GET", "/agent/stream", ""},
		{Slot{1, 2, 2000, 2000, 9000, InUse | Ended}, "POST", "/a?[2J???", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"},
		{Slot{5, 2, 3000, 3000, 0, InUse | Upgraded}, "PROPFIND-AND-MOR", "/" + strings.Repeat("0123456789", 13)[:127], strings.Repeat("x", 64)},
	}
	if got := v.Requests(); !slices.Equal(got, wantSlots) {
		t.Errorf("Requests() = %+v\nwant %+v", got, wantSlots)
	}
	h64 := v.Histogram()
	wantHistogram := Histogram{Sum: 25*time.Hour + time.Millisecond + 16383 + 16384 + 24576}
	for _, i := range []int{0, 0, 1, 2, 12, 56, 63} {
		wantHistogram.Counts[i]++
	}
	if h64 != wantHistogram {
		t.Errorf("Histogram() = %+v\nwant %+v", h64, wantHistogram)
	}
	if got := b.DrainUntil(); got != 0x0123456789abcdef {
		t.Errorf("DrainUntil() = %#x", got)
	}
	if !b.AbortFollows() {
		t.Error("no abort follows")
	}
	if slot, ok := b.Slot(); slot != 6 || !ok || b.Holds() || !v.CanHold() || !v.CanTell() {
		t.Errorf("slot %d, %v, holds %v, can hold %v and tell %v", slot, ok, b.Holds(), v.CanHold(), v.CanTell())
	}
	if n := b.BusyAt(); n != 3 {
		t.Errorf("it is busy at %d", n)
	}
	for i, want := range map[int]bool{-1: false, 0: true, 1: false, 2: true, 3: false, 63: true, 64: false} {
		if got := b.Leaving(i); got != want {
			t.Errorf("Leaving(%d) = %v", i, got)
		}
	}
	if got := b.InFlight(); got != 1 {
		t.Errorf("InFlight() = %d, want 1", got)
	}
	if f := v.Failures(); f != (Failures{Row: 2, Since: 200, Succeeded: 50}) {
		t.Errorf("Failures() = %+v", f)
	}
}

func TestHeaderOfOthers(t *testing.T) {
	tests := []struct {
		name    string
		change  func(w words)
		ok      bool
		version uint32
	}{
		{"as written", func(w words) {}, true, 1},
		{"no magic", func(w words) { w.u64(OffsetMagic).Store(0) }, false, 0},
		{"part of the magic", func(w words) { w[OffsetMagic+7] = 0 }, false, 0},
		{"version 0", func(w words) { w.u32(OffsetVersion).Store(0) }, false, 0},
		{"newer version", func(w words) { w.u32(OffsetVersion).Store(2) }, false, 2},
		{"other header size", func(w words) { w.u32(OffsetHeaderSize).Store(8192) }, false, 1},
		{"other slot size", func(w words) { w.u32(OffsetSlotSize).Store(0) }, false, 1},
		{"as many slots as fit", func(w words) { w.u32(OffsetSlotCount).Store(240) }, true, 1},
		{"more slots than fit", func(w words) { w.u32(OffsetSlotCount).Store(241) }, false, 1},
		{"no such state", func(w words) { w.u32(OffsetState).Store(1 << 31) }, true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := Unshared()
			b.WriteHeader(1)
			tt.change(b.data)
			h, ok := View{mem: &Memory{data: b.data}}.Header()
			if ok != tt.ok || h.Version != tt.version {
				t.Errorf("Header() = %+v, %v, want version %d, %v", h, ok, tt.version, tt.ok)
			}
		})
	}
}

func TestZeroView(t *testing.T) {
	var v View
	v.SetLeaving(1)
	v.SetDrainUntil(1)
	v.SetAbortFollows(true)
	if h, ok := v.Header(); ok || h != (Header{}) {
		t.Errorf("Header() = %+v, %v", h, ok)
	}
	if c := v.Counters(); c != (Counters{}) {
		t.Errorf("Counters() = %+v", c)
	}
}

func TestConcurrentCounting(t *testing.T) {
	b := Unshared()
	var wg sync.WaitGroup
	numbers := make([][]uint64, 8)
	for i := range numbers {
		wg.Go(func() {
			for range 1000 {
				numbers[i] = append(numbers[i], b.RequestStarted())
				b.RequestFinished(200)
			}
		})
	}
	wg.Wait()
	seen := make(map[uint64]bool)
	for _, ns := range numbers {
		for _, n := range ns {
			seen[n] = true
		}
	}
	if len(seen) != 8000 || seen[0] || !seen[1] || !seen[8000] {
		t.Errorf("RequestStarted gave %d different numbers, want 1 to 8000", len(seen))
	}
	if b.InFlight() != 0 {
		t.Errorf("InFlight() = %d", b.InFlight())
	}
}

func TestStateString(t *testing.T) {
	for s, want := range map[State]string{0: "state(0)", Starting: "starting", Ready: "ready", Draining: "draining", 1 << 31: "state(2147483648)"} {
		if got := s.String(); got != want {
			t.Errorf("State(%d).String() = %q, want %q", uint32(s), got, want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	b := Unshared()
	v := View{mem: &Memory{data: b.data}}
	buf := make([]Slot, 0, MaxSlots)
	n := testing.AllocsPerRun(100, func() {
		b.ConnAccepted()
		b.RequestStarted()
		b.RequestFinished(200)
		b.Observe(time.Second)
		slot := b.Take(NoSlot, 1, 2, "GET", "/agent/stream", "id")
		b.Progress(slot, 2)
		b.Mark(slot, Streaming)
		v.AppendSlots(buf[:0])
		b.Free(slot)
		b.ConnClosed()
		Monotonic()
		v.Header()
		v.Counters()
		v.Histogram()
	})
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkMonotonic(b *testing.B) {
	for b.Loop() {
		Monotonic()
	}
}

// A row of failures begins once, and a good answer ends it.
func TestFailures(t *testing.T) {
	b := Unshared()
	v := View{mem: &Memory{data: b.data}}
	if f := v.Failures(); f != (Failures{}) {
		t.Errorf("before all: %+v", f)
	}
	b.Succeeded(50)
	b.Failed(100)
	if row := b.Failed(200); row != 2 || v.Failures() != (Failures{Row: 2, Since: 100, Succeeded: 50}) {
		t.Errorf("after %d: %+v", row, v.Failures())
	}
	b.Succeeded(40) // which began earlier
	if f := v.Failures(); f.Row != 0 || f.Succeeded != 50 {
		t.Errorf("after a good one: %+v", f)
	}
	if row := b.Failed(300); row != 1 || v.Failures().Since != 300 {
		t.Errorf("after %d: %+v", row, v.Failures())
	}
	if f := (View{}).Failures(); f != (Failures{}) {
		t.Errorf("without a board: %+v", f)
	}
}
