package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Resources is the table [resources]: the values of each resource, by its name.
type Resources map[string][]string

// The variable of a worker that has its value of a resource begins with this, and the one
// of the master that sets the values of one with the other.
const (
	resourceVariable  = "GOSUPER_RESOURCE_"
	resourcesVariable = "GOSUPER_RESOURCES_"
)

// ResourceVariable is the variable in which a worker finds its value of a resource.
func ResourceVariable(name string) string { return resourceVariable + variableOf(name) }

func variableOf(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// Leases returns what there is to lease, a value of each resource for every worker: the
// first of each list belong together, the second, and so on, as far as the shortest
// goes; nil: workers need none.
func (c *Config) Leases() (all []map[string]string) {
	n, _ := c.Resources.least()
	for i := range n {
		lease := map[string]string{}
		for name, values := range c.Resources {
			lease[name] = values[i]
		}
		all = append(all, lease)
	}
	return all
}

// least returns the length of the shortest list, and whose that is; 0 where there is none.
func (r Resources) least() (n int, scarce string) {
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if scarce == "" || len(r[name]) < n {
			n, scarce = len(r[name]), name
		}
	}
	return n, scarce
}

// boundByLeases returns so many workers as there are leases at most, and why if that is
// fewer.
func (c *Config) boundByLeases(n int) (bounded int, why string) {
	leases, scarce := c.Resources.least()
	if leases = max(leases-c.Spares, 1); scarce == "" || n <= leases {
		return n, ""
	}
	return leases, fmt.Sprintf("resources.%s has a lease for %s", displayPath([]string{scarce}), times(leases, "worker"))
}

// times is a number of things for people.
func times(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Replacing says for people how workers are replaced that hold leases; "": none do.
func (c *Config) Replacing(workers int) string {
	leases, scarce := c.Resources.least()
	switch {
	case scarce == "", c.Surge.Of(workers) == 0:
		return ""
	case leases > workers+c.Spares:
		return times(leases-workers-c.Spares, "lease") + " to spare: as many workers at a time are replaced start-first"
	}
	return "no lease to spare: workers are replaced one at a time, each stopped before its successor starts"
}

// resourcesKind is the table; as text, NAME=VALUE,VALUE.
var resourcesKind = kind[Resources]{
	doc: "table of lists of strings",
	parse: func(in input) (Resources, error) {
		all := Resources{}
		var errs []error
		set := func(name string, values input) {
			list, err := resourceValues.parse(values)
			if bad := checkResource(name, all); bad != nil {
				err = bad
			}
			for _, p := range problems(err) {
				p.part = name
				errs = append(errs, p)
			}
			all[name] = list
		}
		if in.isText() {
			for _, one := range in.texts {
				name, list, _ := strings.Cut(one, "=")
				set(name, input{texts: splitList(list)})
			}
			return all, errors.Join(errs...)
		}
		table, ok := in.value.(map[string]any)
		if !ok {
			return nil, mistyped(in, "a table")
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			set(name, input{value: table[name]})
		}
		return all, errors.Join(errs...)
	},
	print: func(all Resources) string {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			pairs = append(pairs, bareOrQuoted(name)+" = "+quoteList(all[name]))
		}
		if len(pairs) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(pairs, ", ") + " }"
	},
}

// resourceValues are those of one resource.
var resourceValues = texts("list of strings", checkResourceValue, func(values []string) error {
	if len(values) == 0 {
		return wrong("leave it out", "must list what there is to lease")
	}
	for i, value := range values {
		if slices.Contains(values[:i], value) {
			return wrong(fmt.Sprintf("to share it, give it two names, as in %s and %s", quote(value+":a"), quote(value+":b")),
				"must not list %s twice: two workers would hold it at the same time", quote(value))
		}
	}
	return nil
})

func checkResourceValue(value string) error {
	if value == "" || strings.ContainsFunc(value, unicode.IsControl) {
		return wrong("", "must be texts without control characters that are not empty, not %s", quote(value))
	}
	return nil
}

var resourceName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// checkResource checks the name of a resource beside others.
func checkResource(name string, others Resources) error {
	if !resourceName.MatchString(name) {
		return wrong("as in gpu", "must have a name of letters, digits, - and _ that begins with a letter, not %s", quote(name))
	}
	if slices.Contains([]string{"slot", "place", "id"}, name) {
		return wrong("give it another name", "must not be called %s, as {%s} is what every worker has anyway", name, name)
	}
	for other := range others {
		if other != name && variableOf(other) == variableOf(name) {
			return wrong("give it another name", "must not be called %s beside %s, as both would be %s", name, other, ResourceVariable(name))
		}
	}
	return nil
}

// resourcesTable is [resources].
var resourcesTable = resourcesKey(Key{
	Name: "resources",
	Usage: `what no two workers may have at the same time, as in gpu = ["0", "1"]: each is leased one of every list for life, the first of all lists together, ` +
		`and so on; it is {gpu} in env and command, and GOSUPER_RESOURCE_GPU. Released when the last process of the worker is gone. ` +
		"A replacement starts first while a lease is free; else the worker stops first. More workers than leases cannot be. " +
		"GOSUPER_RESOURCES_GPU=0,1 sets those of one name",
})

// resourcesKey is the key whose resources the environment adds to, or replaces, one by one.
func resourcesKey(k Key) Key {
	k.Kind = resourcesKind.doc
	k.set = func(c *Config, in input) error {
		all, err := resourcesKind.parse(in)
		if err != nil {
			return err
		}
		for name, values := range c.Resources {
			if checkResource(name, all) == nil && all[name] == nil {
				all[name] = values
			}
		}
		c.Resources = all
		return nil
	}
	return k.printing(func(c *Config) string { return resourcesKind.print(c.Resources) })
}

// readResources applies GOSUPER_RESOURCES_<NAME>. Names are in lower case, unless the file
// has another one that is the same there.
func (l *loader) readResources(environ map[string]string) {
	k, _ := find("resources")
	for _, variable := range slices.Sorted(maps.Keys(environ)) {
		rest, ours := strings.CutPrefix(variable, resourcesVariable)
		if !ours || environ[variable] == "" {
			continue
		}
		name := strings.ToLower(rest)
		for known := range l.config.Resources {
			if variableOf(known) == rest {
				name = known
			}
		}
		l.apply(k, input{texts: []string{name + "=" + environ[variable]}}, origin{layer: layerEnviron, from: variable})
	}
}

// compareResources checks what the resources and other keys say of each other.
func (l *loader) compareResources() {
	c := l.config
	leases, scarce := c.Resources.least()
	if scarce == "" || !l.sound("resources") {
		return
	}
	if c.Workers.Fixed() && c.Workers.N > leases && l.sound("workers") {
		l.fail(l.stronger("workers", "resources"), wrong("list more, or set workers = "+fmt.Sprint(leases),
			"workers (%d) must not be above the number of leases, which is %d for resources.%s: every worker holds one for life", c.Workers.N, leases, displayPath([]string{scarce})))
	}
	if c.WorkersMax > leases && l.sound("workers_max") {
		l.fail(l.stronger("workers_max", "resources"), wrong("list more, or set workers_max = "+fmt.Sprint(leases),
			"workers_max (%d) must not be above the number of leases, which is %d for resources.%s: every worker holds one for life", c.WorkersMax, leases, displayPath([]string{scarce})))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Resources)) {
		placeholder := "{" + name + "}"
		if c.Preload && l.sound("preload", "command") && slices.ContainsFunc(c.Command, func(s string) bool { return strings.Contains(s, placeholder) }) {
			l.fail("preload", wrong("write it into env", "the command is run once for all workers, and %s is another one for each", placeholder))
		}
		if c.IsProxy() && (name == "port" || name == "socket") {
			l.fail("resources", wrong("give it another name", "%s is where the program of a proxy listens, and no resource", placeholder))
		}
	}
}
