package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The worker classes: workers accept from the sockets that they inherit, or gosuper does,
// and forwards to them.
const (
	classInherit = "inherit"
	classProxy   = "proxy"
)

// Proxy is the table [proxy], for the worker class "proxy".
type Proxy struct {
	// To is where the program listens, "port" or "unix".
	To string
	// ReadyPath is what a program that is ready answers with 2xx; "": it is ready when it
	// accepts connections.
	ReadyPath string
	// ConnectTimeout is how long a connection to the program may take; above 0.
	ConnectTimeout time.Duration
}

// ProxyCosts is what a proxy costs, for people.
const ProxyCosts = "a front of 7 to 14 MiB in each worker, and about 0.1ms in each request"

// IsProxy reports whether workers are fronts of gosuper with the program behind them.
func (c *Config) IsProxy() bool { return c.WorkerClass == classProxy }

// checkClass refuses what is no worker class.
func checkClass(class string) error {
	if class == classInherit || class == classProxy {
		return nil
	}
	return wrong("leave it out and run MODULE:ATTR, as in gosuper app.main:app: package gosuper of Python serves it with uvicorn, "+
		"and WSGI applications on --threads N threads", `must be "inherit" or "proxy", not %s`, quote(class))
}

// checkReadyPath refuses what is no path of a URL.
func checkReadyPath(path string) error {
	if path != "" && (path[0] != '/' || strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' })) {
		return wrong(`as in ready_path = "/health"`, "must be the path of a URL, not %s", quote(path))
	}
	return nil
}

// Launch returns the executable and the arguments of a worker: those of the command, or
// of its front, which is this program. See package worker/proxy.
func (c *Config) Launch(r Resolved, worker Worker) (path string, argv []string) {
	argv = worker.ExpandCommand(r.Argv(c.Command))
	if !c.IsProxy() {
		return r.Path, argv
	}
	front := []string{
		"gosuper: proxy",
		"-to=" + c.Proxy.To, "-ready_path=" + c.Proxy.ReadyPath, "-connect_timeout=" + c.Proxy.ConnectTimeout.String(),
		"-startup_timeout=" + c.StartupTimeout.String(), "-stop_signal=" + c.StopSignal.Name, "-abort_signal=" + c.AbortSignal.Name,
		"-env=" + strings.Join(c.placed(), ","), "-limit_as=" + strconv.FormatInt(int64(c.Limits.AS), 10),
		"-successor=" + strconv.FormatBool(c.Surge.N > 0 && len(c.Resources) == 0), "--", r.Path,
	}
	// By this name it is the image that runs, also when its file is the next version's.
	return "/proc/self/exe", append(front, argv...)
}

// placed are the variables of env that say where the program listens.
func (c *Config) placed() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if strings.Contains(c.Env[name], "{port}") || strings.Contains(c.Env[name], "{socket}") {
			names = append(names, name)
		}
	}
	return names
}

// places are what the command and env say of where the program listens.
func (c *Config) places(placeholder string) bool {
	values := slices.Concat(c.Command, slices.Collect(maps.Values(c.Env)))
	return slices.ContainsFunc(values, func(s string) bool { return strings.Contains(s, placeholder) })
}

// portOptions are how servers are told their port that do not look at PORT.
var portOptions = map[string]string{"uvicorn": "--port {port}", "hypercorn": "-b 127.0.0.1:{port}", "granian": "--port {port}"}

// checkProxy checks what the worker class and the command say of each other.
func (l *loader) checkProxy() {
	c := l.config
	port, socket := c.places("{port}"), c.places("{socket}")
	if !l.sound("worker_class", "command", "env", "proxy.to") || len(c.Command) == 0 {
		return
	}
	if !c.IsProxy() {
		if port && c.Resources["port"] == nil || socket && c.Resources["socket"] == nil {
			l.warn(`{port} and {socket} mean something with worker_class = "proxy" alone: a worker accepts from fd 3, which it inherits`)
		}
		return
	}
	switch {
	case c.Preload:
		l.fail(l.stronger("preload", "worker_class"), wrong("leave out one of them", "preload makes workers from an application, and a proxy has none of its own"))
	case c.IsApplication():
		l.fail("worker_class", wrong("leave it out", "%s is served by package gosuper of Python, which needs no proxy before it", quote(c.Command[0])))
	case c.Proxy.To == "unix" && !socket:
		l.fail("proxy.to", wrong("uvicorn: --uds {socket}; granian: --uds {socket}", "the command must say {socket}, where the program is to listen"))
	case c.Proxy.To == "unix" && port:
		l.fail("proxy.to", wrong(`to = "port", or leave {port} out`, "{port} is nothing on a unix socket"))
	case c.Proxy.To == "port" && socket:
		l.fail("worker_class", wrong(`proxy.to = "unix"`, "{socket} is nothing on a port"))
	case c.Proxy.To == "port" && !port:
		for server, how := range portOptions {
			if runs(c.Command, server) {
				l.warn("%s does not look at PORT, and is not told where to listen: add %s to its command", server, how)
			}
		}
	}
}
