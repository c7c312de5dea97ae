package config

import (
	"strings"
	"testing"
	"testing/fstest"
)

// A spare has no slot when it is started.
func TestSparesAndSlots(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"none", "env = { A = \"{slot}\" }\n", ""},
		{"place", "spares = 1\nenv = { A = \"{place}-{id}\", B = \"{{slot}}\" }\n", ""},
		{"slot", "spares = 1\nenv = { A = \"{place}\", B = \"-{slot}\" }\n", "FILE:4: env: env.B has {slot}, and a spare has no slot when it is started (write {place} or {id}, which a spare has)"},
		{"address", "spares = 1\nbind_slot = [\"unix:/run/{slot}.sock\"]\n", "FILE:4: bind_slot: spares and bind_slot exclude each other"},
		{"negative", "spares = -1\n", "FILE:3: spares: must be from 0 to 10000, not -1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(resourceErrors(t, "workers = 1\n"+test.text), "\n"); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// Spares take memory, and leases, like workers.
func TestSparesCount(t *testing.T) {
	root := ReadMachine(fstest.MapFS(machine("0::/api\n", mountV2, map[string]string{"api/memory.max": "1073741824", "api/cpu.max": "2000000 100000"})))
	c := &Config{Workers: Workers{Auto: true}, Surge: Surge{N: 1}, WorkerMemory: 100 * MiB, MaxWorkerMemoryHard: SizeAuto}
	without, _, _ := c.CountWorkers(root)
	hard := c.Memory(root, 4).Hard
	c.Spares = 2
	if with, _, _ := c.CountWorkers(root); with != without-2 {
		t.Errorf("%d workers fit, and %d with 2 spares", without, with)
	}
	if m := c.Memory(root, 4); m.Hard*7 > hard*5 || !strings.Contains(m.Why, "4 workers and 2 spares, 1 more while") {
		t.Errorf("each may take %v, and with 2 spares %v: %s", hard, m.Hard, m.Why)
	}
	c.Resources, c.WorkerMemory = Resources{"gpu": {"0", "1", "2", "3"}}, 0
	if n, why, _ := c.CountWorkers(root); n != 2 {
		t.Errorf("%d workers for 4 leases: %s", n, why)
	}
}
