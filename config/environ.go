package config

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// handedOver are the variables, besides GOSUPER_*, that tell a process about its
// own supervisor: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3) and
// systemd.exec(5). What systemd says to the master is wrong for its workers.
var handedOver = []string{
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES",
	"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE", "MAINPID",
}

// workerVariables are the GOSUPER_ variables of the worker protocol. A gosuper
// that is itself a worker finds them in its environment.
var workerVariables = []string{
	"GOSUPER_NOTIFY_FD", "GOSUPER_SLOT", "GOSUPER_PLACE", "GOSUPER_WORKER_ID", "GOSUPER_GENERATION",
	"GOSUPER_SCOREBOARD_FD", "GOSUPER_FLEET_FD", "GOSUPER_ACCESS_FD", "GOSUPER_ACCESS_FORMAT", "GOSUPER_TLS_FD", "GOSUPER_FRONT_FD",
	"GOSUPER_LOADER_FD", "GOSUPER_MASTER_PID", stopSignalVariable,
}

// stopSignalVariable is a key to a master and part of the protocol to a worker.
const stopSignalVariable = "GOSUPER_STOP_SIGNAL"

// notForUs reports whether a variable that could be a key is a message to us as
// a worker of another gosuper.
func notForUs(name string, environ map[string]string) bool {
	_, isWorker := environ["GOSUPER_WORKER_ID"]
	return name == stopSignalVariable && isWorker
}

// unknownVariables returns a warning for each GOSUPER_ variable that means
// nothing to anybody.
func unknownVariables(environ map[string]string) []string {
	var settable, warnings []string
	for _, k := range keys {
		if k.Env != "" {
			settable = append(settable, strings.TrimPrefix(k.Env, "GOSUPER_"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		setting, ours := strings.CutPrefix(name, "GOSUPER_")
		if !ours || slices.Contains(settable, setting) || isSilent(name) {
			continue
		}
		warning := name + " is not a setting"
		if name == "GOSUPER_COMMAND" || name == "GOSUPER_ENV" {
			warning = name + " is ignored: this key is not set by the environment"
		} else if meant := nearest(setting, settable); meant != "" {
			warning += ": did you mean GOSUPER_" + meant + "?"
		} else if known := foreignVariable(setting); known != "" {
			warning += ": " + known
		}
		warnings = append(warnings, warning)
	}
	return warnings
}

// isSilent reports whether a variable that is no key may be there: Kubernetes
// describes a service called gosuper to every container beside it.
func isSilent(name string) bool {
	for _, prefix := range []string{"GOSUPER_PORT", "GOSUPER_SERVICE_", "GOSUPER_LIMIT_", resourceVariable, resourcesVariable} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains(workerVariables, name)
}

// isReserved reports whether gosuper alone decides about a worker's variable.
func isReserved(name string) bool {
	return strings.HasPrefix(name, "GOSUPER_") || slices.Contains(handedOver, name)
}

// checkVariable checks the name of a variable for workers.
func checkVariable(name string) error {
	switch {
	case name == "":
		return wrong("", "must have a name")
	case strings.ContainsAny(name, "=\x00"):
		return wrong("", "must have a name without = and NUL, not %s", quote(name))
	case isReserved(name):
		return wrong("", "must not set %s, which gosuper itself gives to its workers or keeps from them", name)
	}
	return nil
}

// envPassKind is a list of names of variables, or of what they begin or end with.
var envPassKind = func() kind[[]string] {
	k := texts("list of names", checkEnvPass, func([]string) error { return nil })
	parse := k.parse
	k.parse = func(in input) ([]string, error) {
		list, err := parse(in)
		if list == nil {
			list = []string{} // none is not all
		}
		return list, err
	}
	return k
}()

// checkEnvPass checks one of the names of env_pass.
func checkEnvPass(pattern string) error {
	name := strings.TrimSuffix(strings.TrimPrefix(pattern, "*"), "*")
	switch {
	case pattern == "":
		return wrong("", "must be the name of a variable, not %s", quote(pattern))
	case strings.Contains(name, "*"):
		return wrong("", "must have its * at the beginning or the end, not as in %s", quote(pattern))
	case strings.ContainsAny(name, "=\x00"):
		return wrong("write the value into env", "must be the name of a variable, not %s", quote(pattern))
	case isReserved(name):
		return wrong("", "must not name %s, which gosuper itself gives to its workers or keeps from them", name)
	}
	return nil
}

// passes says whether workers get the variable of the master.
func (c *Config) passes(name string) bool {
	return c.EnvPass == nil || slices.ContainsFunc(c.EnvPass, func(pattern string) bool {
		rest, anyStart := strings.CutPrefix(pattern, "*")
		rest, anyEnd := strings.CutSuffix(rest, "*")
		switch {
		case anyStart && anyEnd:
			return strings.Contains(name, rest)
		case anyStart:
			return strings.HasSuffix(name, rest)
		case anyEnd:
			return strings.HasPrefix(name, rest)
		}
		return name == rest
	})
}

// Environ returns the environment of a worker, but for what the worker protocol
// adds: base, the environment of the master, as far as env_pass names it; over
// that own, which the worker gets in any case; both without the variables by which
// the master's own supervisor speaks to it, and without PORT and WEB_CONCURRENCY if
// they were used here: a server would bind, or multiply, once more; over that the
// env_file; over that env, its placeholders filled in as by [Worker.Expand]. Placeholders anywhere else are
// plain text. No variable is in it twice.
func (c *Config) Environ(base, own []string, worker Worker) []string {
	vars := c.shared(base, own)
	for name, value := range c.Env {
		vars[name] = worker.Expand(value)
	}
	return assignments(vars)
}

// LoaderEnviron is [Config.Environ] for the process that the workers are forked from:
// without those of env that have placeholders.
func (c *Config) LoaderEnviron(base, own []string) []string {
	vars := c.shared(base, own)
	for name, value := range c.Env {
		if delete(vars, name); !c.differs(value) {
			vars[name] = Worker{}.Expand(value)
		}
	}
	return assignments(vars)
}

// ForkedEnviron is what a worker has of [Config.Environ] that its loader has not.
func (c *Config) ForkedEnviron(worker Worker) []string {
	vars := map[string]string{}
	for name, value := range c.Env {
		if c.differs(value) {
			vars[name] = worker.Expand(value)
		}
	}
	return assignments(vars)
}

// shared is the environment of all workers, but for env.
func (c *Config) shared(base, own []string) map[string]string {
	vars := environMap(base)
	maps.DeleteFunc(vars, func(name, _ string) bool { return !c.passes(name) })
	maps.Copy(vars, environMap(own))
	maps.DeleteFunc(vars, func(name, _ string) bool { return isReserved(name) || slices.Contains(c.used, name) })
	maps.Copy(vars, c.fileEnv)
	return vars
}

// assignments is the inverse of [environMap], in the order of the names.
func assignments(vars map[string]string) []string {
	environ := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		environ = append(environ, name+"="+vars[name])
	}
	return environ
}

// differs says whether a value of env has a placeholder, and is another one for each
// worker.
func (c *Config) differs(value string) bool {
	one, other := Worker{Lease: map[string]string{}}, Worker{Slot: 1, Place: 1, ID: 1, Lease: map[string]string{}}
	for name := range c.Resources {
		one.Lease[name], other.Lease[name] = "0", "1"
	}
	return one.Expand(value) != other.Expand(value)
}

// Worker is what the placeholders in env and the command stand for.
type Worker struct {
	Slot, Place, ID int
	Lease           map[string]string // by resource
}

// Expand fills in "{slot}", "{place}", "{id}" and the names of leased resources in a
// value of env; "{{slot}}" and so on are these words with one brace on either side. All
// other braces, be they JSON or some template's, stay as they are.
func (w Worker) Expand(value string) string {
	values := map[string]string{"slot": strconv.Itoa(w.Slot), "place": strconv.Itoa(w.Place), "id": strconv.Itoa(w.ID)}
	maps.Copy(values, w.Lease)
	return replace(value, values)
}

// ExpandCommand fills in the names of leased resources in the arguments of a command.
func (w Worker) ExpandCommand(argv []string) []string {
	if len(w.Lease) == 0 {
		return argv
	}
	filled := slices.Clone(argv)
	for i := range filled[1:] {
		filled[i+1] = replace(argv[i+1], w.Lease)
	}
	return filled
}

// replace puts values for their names in braces.
func replace(text string, values map[string]string) string {
	var pairs []string
	for name, value := range values {
		pairs = append(pairs, "{{"+name+"}}", "{"+name+"}", "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// path returns the PATH of the workers.
func (c *Config) path() string {
	return cmp.Or(c.Env["PATH"], c.fileEnv["PATH"], c.started.searchPath)
}

// environMap makes a map of an environment. The last of several variables of one
// name wins, as in os/exec; what is no variable is left out.
func environMap(environ []string) map[string]string {
	vars := make(map[string]string, len(environ))
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && name != "" {
			vars[name] = value
		}
	}
	return vars
}
