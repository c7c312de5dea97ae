package config

import (
	"slices"
	"strings"
	"testing"
)

func TestSlotAddressMistakes(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"none", "workers = 2\nbind_slot = [\"unix:/run/agent/{slot}.sock\", \"127.0.0.1:900{slot}\"]\n", ""},
		{"relative", "bind_slot = [\"unix:{slot}.sock\"]\n", ""},
		{"no slot", "bind_slot = [\"unix:/run/agent.sock\"]\n", `FILE:2: bind_slot: must have {slot} in it, or all slots would have the same address: "unix:/run/agent.sock" (as in "unix:/run/agent/{slot}.sock")`},
		{"literal", "bind_slot = [\"unix:/run/{{slot}}.sock\"]\n", `FILE:2: bind_slot: must have {slot} in it`},
		{"inherited", "bind_slot = [\"fd://{slot}\"]\n", `FILE:2: bind_slot: must be "unix:/path" or "host:port", not "fd://{slot}"`},
		{"no port", "bind_slot = [\"127.0.0.{slot}\"]\n", `FILE:2: bind_slot: has no port: "127.0.0.1"`},
		{"twice", "bind_slot = [\"unix:/a{slot}\", \"unix:/a{slot}\"]\n", `FILE:2: bind_slot: has "unix:/a{slot}" twice`},
		{"port too high", "workers = 20\nbind_slot = [\"127.0.0.1:900{slot}\", \"127.0.0.1:6553{slot}\"]\n", `FILE:3: bind_slot: must have a port from 0 to 65535, not 65536`},
		{"port 0", "bind_slot = [\"127.0.0.1:{slot}\"]\n", `FILE:2: bind_slot: gives slot 0 no port of its own: "127.0.0.1:0" (begin with another number)`},
		{"one of bind", "bind = [\"127.0.0.1:9003\"]\nworkers = 4\nbind_slot = [\"127.0.0.1:900{slot}\"]\n", `FILE:4: bind_slot: gives slot 3 the address "127.0.0.1:9003", which is taken by "127.0.0.1:9003" (give it an address of its own)`},
		{"one of another slot", "workers = 4\nworkers_max = 12\ntarget_in_flight = 1\nbind_slot = [\"unix:/a{slot}\", \"unix:/a1{slot}\"]\n", `FILE:5: bind_slot: gives slot 10 the address "unix:/a10", which is taken by "unix:/a10"`},
		{"the admin listener", "workers = 2\nbind_slot = [\"127.0.0.1:909{slot}\"]\nadmin = { bind = \"127.0.0.1:9091\" }\n", `FILE:3: bind_slot: gives slot 1 the address "127.0.0.1:9091", which is taken by`},
		{"nobody", "workers = 0\nworkers_max = 2\ntarget_in_flight = 1\nbind_slot = [\"unix:/a{slot}\"]\n", `FILE:5: bind_slot: workers must be at least 1 with bind_slot: nobody listens at the addresses of slots that nobody serves (set workers = 1)`},
		{"long", "bind_slot = [\"unix:/" + strings.Repeat("a", 107) + "{slot}\"]\n", `FILE:2: bind_slot: the path of a unix socket has at most 107 bytes`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(resourceErrors(t, test.text), "\n"); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestSlotAddresses(t *testing.T) {
	file := write(t, "s.toml", "command = [\"a\"]\nworkers = 2\nbind_slot = [\"unix:run/{slot}.sock\", \"127.0.0.1:900{slot}\"]\n")
	c, warnings := mustLoad(t, Source{File: file, Dir: "/srv"})
	want := []string{"unix:/srv/run/7.sock", "127.0.0.1:9007"}
	if got := c.SlotAddresses(7); !slices.Equal(got, want) || len(warnings) > 0 {
		t.Errorf("slot 7 has %v, want %v; %q", got, want, warnings)
	}
	c, _ = mustLoad(t, Source{File: file, Environ: []string{"GOSUPER_BIND_SLOT=unix:/a{slot}, unix:/b{slot}"}})
	if got := c.SlotAddresses(0); !slices.Equal(got, []string{"unix:/a0", "unix:/b0"}) {
		t.Errorf("the variable is read as %v", got)
	}
}
