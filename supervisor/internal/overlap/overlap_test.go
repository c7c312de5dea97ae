//go:build linux

package overlap

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/fleet"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/preload"
	"github.com/gosuper/gosuper/supervisor/internal/revision"
	"github.com/gosuper/gosuper/supervisor/internal/roster"
	"github.com/gosuper/gosuper/supervisor/internal/scales"
)

// machine has a cgroup with a memory limit, of which so much is used, in MiB.
func machine(limit, used int) fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }
	return fstest.MapFS{
		"proc/self/cgroup":                 file("0::/api"),
		"proc/self/mountinfo":              file("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"),
		"sys/fs/cgroup/api/memory.max":     file(fmt.Sprint(limit << 20)),
		"sys/fs/cgroup/api/memory.current": file(fmt.Sprint(used << 20)),
		"sys/fs/cgroup/api/cgroup.procs":   file("1"),
	}
}

// There is room for as many as what is left of the limit makes of what one takes, which is
// said, or else as the ready ones do; who is starting has yet to take that.
func TestMeasure(t *testing.T) {
	tests := []struct {
		name     string
		limit    int
		used     int
		each     int   // in MiB
		ready    []int // what the ready ones take
		starting []int // and the others
		rest     []int // and loaders
		want     int
	}{
		{"two more", 1000, 500, 0, []int{200, 200}, nil, nil, 2},
		{"a twentieth is kept free", 1000, 550, 0, []int{200, 200}, nil, nil, 2},
		{"so there is one", 1000, 551, 0, []int{200, 200}, nil, nil, 1},
		{"none", 1000, 800, 0, []int{200, 200, 200}, nil, nil, 0},
		{"more than all", 1000, 1000, 0, []int{200}, nil, nil, 0},
		{"the median", 1000, 450, 0, []int{10, 200, 900}, nil, nil, 2},
		{"who is starting takes the rest", 1000, 450, 0, []int{200, 200}, []int{50}, nil, 1},
		{"or has it", 1000, 450, 0, []int{200, 200}, []int{250}, nil, 2},
		{"what is said counts", 1000, 450, 400, []int{200, 200}, nil, nil, 1},
		{"also for who is starting", 1000, 450, 400, []int{200, 200}, []int{200}, nil, 0},
		{"a loader has what it has", 1000, 450, 0, []int{200, 200}, nil, []int{900}, 2},
		{"nobody was weighed", 1000, 900, 0, []int{0, 0}, nil, nil, fleet.Unbounded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := crew{each: config.Size(test.each) * config.MiB}
			var takes []uint64
			for i, of := range [][]int{test.ready, test.starting, test.rest} {
				for _, n := range of {
					takes = append(takes, uint64(n)<<20)
					if i < 2 {
						c.ready, c.starting = append(c.ready, i == 0), append(c.starting, i == 1)
					}
				}
			}
			if got, _ := c.measure(machine(test.limit, test.used), func([]scales.Worker) []uint64 { return takes }); got.room != test.want {
				t.Errorf("room for %d, want %d: %+v", got.room, test.want, got)
			}
		})
	}
}

// In one step the brain may ask how much memory there is while a worker drains, and then
// start another one for a slot that is empty. When the question is answered that one has no
// process yet, and is going to take as much as any.
func TestStartedInTheSameStep(t *testing.T) {
	now := time.Now()
	f := fleet.New(1, fleet.Settings{
		Workers: 2, Surge: fleet.Surge{Count: 1}, MemoryBound: true,
		DrainTimeout: time.Minute, StartupTimeout: time.Minute, StartupAttempts: 1,
	}, func() float64 { return 0 })
	m, known := Meter{}, roster.New()
	m.Attach(Options{Fleet: f, Roster: known, Loaders: &preload.Loaders{}, Revisions: &revision.Known{Current: &revision.Revision{Config: &config.Config{WorkerMemory: 200 * config.MiB}}}})
	var crews []crew
	for _, events := range [][]fleet.Event{
		{fleet.Tick{}},
		{fleet.Executed{ID: 1}, fleet.Executed{ID: 2}, fleet.SaidReady{ID: 1}, fleet.SaidReady{ID: 2}},
		{fleet.SaidStopping{ID: 1}, fleet.Exited{ID: 2}},
	} {
		for _, a := range f.Step(now, events...) {
			switch a := a.(type) {
			case fleet.Spawn:
				known.Enter(&roster.Worker{Identity: a.Worker.Identity})
			case fleet.Weigh:
				crews = append(crews, m.crew())
			}
		}
	}
	if len(crews) != 1 || len(crews[0].all) != 2 || crews[0].all[1].PID != 0 || !crews[0].starting[1] {
		t.Fatalf("it is measured for %+v", crews)
	}
	if got, _ := crews[0].measure(machine(1000, 450), func([]scales.Worker) []uint64 { return []uint64{200 << 20, 0} }); got.room != 1 {
		t.Errorf("room for %d, want 1", got.room)
	}
}

// meter is one of a fleet in which nobody lives, on a machine that may have a limit, and what
// the brain is told.
func meter(root fs.FS) (m *Meter, told *[]fleet.Event) {
	m, told = &Meter{}, new([]fleet.Event)
	m.Attach(Options{
		Fleet: fleet.New(1, fleet.Settings{}, func() float64 { return 0 }), Roster: roster.New(), Loaders: &preload.Loaders{}, Loop: loop.New(), Root: root, Scales: scales.New(),
		Revisions: &revision.Known{Current: &revision.Revision{Config: &config.Config{WorkerMemory: 200 * config.MiB}}},
		Note:      func(ev fleet.Event) { *told = append(*told, ev) }, Step: func(events ...fleet.Event) { *told = append(*told, events...) },
	})
	m.options.Scales.Attach(func([]int) ([]scales.Tree, error) { return nil, nil }, nil)
	return m, told
}

// hear does what the loop is asked to next.
func (m *Meter) hear(t *testing.T) {
	t.Helper()
	select {
	case do := <-m.options.Loop.C:
		do()
	case <-time.After(time.Minute):
		t.Fatal("the brain is never told")
	}
}

// Where there was no limit a moment ago the answer is there at once, for any number; later it
// is looked at again, and a limit that has come counts.
func TestNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, told := meter(fstest.MapFS{})
		expect := func(want int) {
			t.Helper()
			if len(*told) != 1 || (*told)[0] != (fleet.Memory{Room: want}) {
				t.Errorf("the brain is told %v", *told)
			}
			*told = nil
		}
		m.Measure()
		m.hear(t)
		expect(fleet.Unbounded)
		m.options.Root = machine(1000, 450)
		m.Measure()
		expect(fleet.Unbounded)
		time.Sleep(unlimited) // in the time of the bubble
		for range 2 {
			m.Measure()
			m.hear(t)
			expect(2)
		}
	})
}

// slowFS is a machine that does not answer for a while.
type slowFS struct {
	fs.FS
	until chan struct{}
}

func (s slowFS) Open(name string) (fs.File, error) {
	<-s.until
	return s.FS.Open(name)
}

// Nobody waits for a machine that does not answer, and who asks again meanwhile gets what is
// found out after that.
func TestSlowMachine(t *testing.T) {
	root := slowFS{machine(1000, 450), make(chan struct{})}
	m, told := meter(root)
	m.Measure()
	m.Measure()
	close(root.until)
	for want := range 2 {
		m.hear(t)
		if len(*told) != want {
			t.Fatalf("the brain is told %v", *told)
		}
	}
	if (*told)[0] != (fleet.Memory{Room: 2}) {
		t.Errorf("the brain is told %v", *told)
	}
}

// The line, and the status, say how much is left and what one takes.
func TestWarn(t *testing.T) {
	core, log := observer.New(zapcore.DebugLevel)
	var m Meter
	m.Attach(Options{Log: zap.New(core)})
	m.last = measure{headroom: config.Headroom{Limit: 400 * config.MiB, Left: 52 * config.MiB, At: "/sys/fs/cgroup/api"}, each: 120*config.MiB + 1}
	m.Warn()
	if all := log.All(); len(all) != 1 || !strings.HasPrefix(all[0].Message, "overlap reduced: ") {
		t.Fatalf("it says %v", all)
	} else if f := all[0].ContextMap(); f["left"] != "52MiB" || f["each"] != "120MiB" || f["memory_limit"] != "400MiB" || f["cgroup"] != "/sys/fs/cgroup/api" {
		t.Errorf("it says %v", f)
	}
}

// Nothing is said while all fit.
func TestStatus(t *testing.T) {
	f := fleet.New(1, fleet.Settings{Workers: 1, MemoryBound: true, Surge: fleet.Surge{Count: 1}}, func() float64 { return 0 })
	var m Meter
	m.Attach(Options{Fleet: f})
	if o := m.Status(); o != nil {
		t.Errorf("it is %+v", o)
	}
}
