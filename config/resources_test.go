package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// resourceErrors are the mistakes that are found in a file.
func resourceErrors(t *testing.T, text string, environ ...string) (all []string) {
	t.Helper()
	file := write(t, "r.toml", "command = [\"a\", \"{gpu}\"]\n"+text)
	err := loadError(Source{File: file, Environ: environ})
	if err == nil {
		return nil
	}
	for _, e := range err.(*Errors).List {
		all = append(all, strings.ReplaceAll(e.Error(), file, "FILE"))
	}
	return all
}

func TestResourceMistakes(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"none", "workers = 2\n[resources]\ngpu = [\"0\", \"1\"]\n", ""},
		{"too few", "workers = 3\n[resources]\ngpu = [\"0\", \"1\"]\nport = [\"1\", \"2\", \"3\"]\n", "FILE:3: resources: workers (3) must not be above the number of leases, which is 2 for resources.gpu: every worker holds one for life (list more, or set workers = 2)"},
		{"too few for spares", "workers = 2\nspares = 2\n[resources]\ngpu = [\"0\", \"1\", \"2\"]\n", "FILE:4: resources: workers (2) and spares (2) must not be above the number of leases, which is 3 for resources.gpu: every worker holds one for life (list more, or set spares = 1)"},
		{"twice", "workers = 1\n[resources]\ngpu = [\"0\", \"0\"]\n", `FILE:4: resources.gpu: must not list "0" twice: two workers would hold it at the same time (to share it, give it two names, as in "0:a" and "0:b")`},
		{"empty list", "[resources]\ngpu = []\n", "FILE:3: resources.gpu: must list what there is to lease (leave it out)"},
		{"empty text", "[resources]\ngpu = [\"\"]\n", `FILE:3: resources.gpu: must be texts without control characters that are not empty, not ""`},
		{"numbers", "[resources]\ngpu = [0]\n", `FILE:3: resources.gpu: element 1 must be a string, not the number 0`},
		{"one text", "[resources]\ngpu = \"0 1\"\n", `FILE:3: resources.gpu: must be a list, not the string "0 1" (write ["0", "1"])`},
		{"no table", "resources = [\"0\"]\n", `FILE:2: resources: must be a table, not a list`},
		{"name", "[resources]\n\"g p u\" = [\"0\"]\n", `FILE:3: resources."g p u": must have a name of letters, digits, - and _ that begins with a letter, not "g p u" (as in gpu)`},
		{"taken name", "[resources]\nslot = [\"0\"]\n", `FILE:3: resources.slot: must not be called slot, as {slot} is what every worker has anyway (give it another name)`},
		{"same variable", "[resources]\na-b = [\"0\"]\na_b = [\"0\"]\n", `FILE:4: resources.a_b: must not be called a_b beside a-b, as both would be GOSUPER_RESOURCE_A_B (give it another name)`},
		{"loader", "workers = 1\npreload = true\n[resources]\ngpu = [\"0\"]\n", `FILE:3: preload: the command is run once for all workers, and {gpu} is another one for each (write it into env)`},
		{"misspelt table", "[resource]\ngpu = [\"0\"]\n", `FILE:2: resource: is not a key (did you mean [resources]?)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(resourceErrors(t, test.text), "\n"); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestResourcesOfTheEnvironment(t *testing.T) {
	file := write(t, "r.toml", "workers = 2\n[resources]\nGpu = [\"0\"]\nkey = [\"a\", \"b\", \"c\"]\n")
	c, warnings := mustLoad(t, Source{File: file, Command: []string{"a"}, Environ: []string{"GOSUPER_RESOURCES_GPU=5, 6", "GOSUPER_RESOURCES_DISK=x,y", "GOSUPER_RESOURCE_GPU=7"}})
	want := Resources{"Gpu": {"5", "6"}, "key": {"a", "b", "c"}, "disk": {"x", "y"}}
	if !reflect.DeepEqual(c.Resources, want) || len(warnings) > 0 {
		t.Errorf("%v and %q, want %v", c.Resources, warnings, want)
	}
	got := c.Leases()
	if want := []map[string]string{{"Gpu": "5", "key": "a", "disk": "x"}, {"Gpu": "6", "key": "b", "disk": "y"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("the leases are %v, want %v", got, want)
	}
	if got := resourceErrors(t, "workers = 2\n", "GOSUPER_RESOURCES_GPU=0"); len(got) != 1 || !strings.HasPrefix(got[0], "GOSUPER_RESOURCES_GPU: workers (2) must not be above") {
		t.Errorf("%q", got)
	}
}

// There are never more automatic workers than leases.
func TestAutomaticWorkersByLeases(t *testing.T) {
	c, _ := mustLoad(t, Source{File: write(t, "r.toml", "[resources]\ngpu = [\"0\"]\n"), Command: []string{"a"}})
	if n, why, _ := c.CountWorkers(Machine{}); n != 1 || why != "resources.gpu has a lease for 1 worker" {
		t.Errorf("%d workers: %s", n, why)
	}
	if got := c.Replacing(1); !strings.HasPrefix(got, "no lease to spare") {
		t.Error(got)
	}
	c.Resources["gpu"] = []string{"0", "1", "2"}
	if n, _, _ := c.CountWorkers(Machine{}); n != 2 {
		t.Errorf("%d workers", n)
	}
	if got := c.Replacing(2); !strings.HasPrefix(got, "1 lease to spare") {
		t.Error(got)
	}
}

// What a worker is told of its lease.
func TestLeaseOfAWorker(t *testing.T) {
	c, _ := mustLoad(t, Source{
		File:    write(t, "r.toml", "workers = 1\n[resources]\ngpu = [\"7\"]\n[env]\nCUDA_VISIBLE_DEVICES = \"{gpu}\"\nSAME = \"x\"\n"),
		Command: []string{"{gpu}", "--device", "cuda:{gpu}", "{{gpu}}", "{slot}"},
	})
	w := Worker{Lease: c.Leases()[0]}
	if got := w.ExpandCommand(c.Command); !slices.Equal(got, []string{"{gpu}", "--device", "cuda:7", "{gpu}", "{slot}"}) {
		t.Errorf("the command is %q", got)
	}
	if got := c.Environ(nil, nil, w); !slices.Equal(got, []string{"CUDA_VISIBLE_DEVICES=7", "SAME=x"}) {
		t.Errorf("the environment is %q", got)
	}
	if got := c.ForkedEnviron(w); !slices.Equal(got, []string{"CUDA_VISIBLE_DEVICES=7"}) {
		t.Errorf("what the loader does not have is %q", got)
	}
	if got := ResourceVariable("nv-link"); got != "GOSUPER_RESOURCE_NV_LINK" {
		t.Error(got)
	}
}
