package config

import (
	"fmt"
	"path/filepath"
	"slices"
)

// cooperative are the keys that ask a worker to do something itself, which only
// one that speaks the worker protocol does. asks says whether the value asks for
// anything; nil: whatever it is.
var cooperative = []struct {
	key  string
	asks func(*Config) bool
}{
	{"max_requests", func(c *Config) bool { return c.MaxRequests > 0 }},
	{"max_failures", func(c *Config) bool { return c.MaxFailures > 0 }},
	{"target_in_flight", func(c *Config) bool { return c.TargetInFlight > 0 }},
	{"idle_timeout", func(c *Config) bool { return c.WorkersMax > 0 }},
	{"timeout", func(c *Config) bool { return c.Timeout > 0 }},
	{"stream_timeout", func(c *Config) bool { return !c.StreamTimeout.Auto && c.StreamTimeout.Duration > 0 }},
	{"upgrade_timeout", func(c *Config) bool { return c.UpgradeTimeout > 0 }},
	{"request_timeout", func(c *Config) bool { return c.RequestTimeout > 0 }},
	{"worker_connections", func(c *Config) bool { return c.WorkerConnections > 0 }},
	{"backlog_timeout", func(c *Config) bool { return c.BacklogTimeout > 0 }},
	{"keepalive", nil},
	{"log.access_file", func(c *Config) bool { return c.Log.AccessFile != "" }},
	{"tls.cert", func(c *Config) bool { return c.TLS.Cert != "" }},
}

// plainServer is one that does not speak the worker protocol by itself, and its own
// ways to what a key asks for.
type plainServer struct {
	program string
	ways    map[string]string
	// may says that it does where the application has our package, which the command
	// does not tell.
	may bool
}

var plainServers = []plainServer{
	{program: "gunicorn", ways: map[string]string{ // before uvicorn, whose worker class it may be told
		"max_requests": "--max-requests", "timeout": "--timeout", "worker_connections": "--worker-connections", "keepalive": "--keep-alive",
		"log.access_file": "--access-logfile", "tls.cert": "--certfile and --keyfile",
	}},
	{program: "uvicorn", ways: map[string]string{
		"max_requests": "--limit-max-requests", "worker_connections": "--limit-concurrency", "keepalive": "--timeout-keep-alive",
		"log.access_file": "--log-config", "tls.cert": "--ssl-certfile and --ssl-keyfile",
	}},
	{program: "hypercorn", ways: map[string]string{
		"max_requests": "--max-requests", "keepalive": "--keep-alive", "log.access_file": "--access-logfile", "tls.cert": "--certfile and --keyfile",
	}},
	{program: "node", ways: map[string]string{"worker_connections": "server.maxConnections", "keepalive": "server.keepAliveTimeout"}, may: true},
}

// PlainServer is the server that the command starts, if it is known for not
// speaking the worker protocol by itself; else "".
func (c *Config) PlainServer() string {
	if s := c.server(); !s.may {
		return s.program
	}
	return ""
}

// server is the one of the plain servers that the command starts; without a name, none.
func (c *Config) server() (none plainServer) {
	if c.IsProxy() {
		return none // behind what does
	}
	for _, word := range c.Command {
		if base := filepath.Base(word); base == "gosuper" || filepath.Base(filepath.Dir(word)) == "gosuper" {
			return none // our own package for the language, or what it registers
		}
	}
	for _, s := range plainServers {
		if runs(c.Command, s.program) {
			return s
		}
	}
	return none
}

// Unheeded are the settings that somebody made and that have no effect on a worker
// which does not speak the worker protocol, each as it was written, and with the
// server's own way where that is known: "--max-requests (uvicorn:
// --limit-max-requests)", "GOSUPER_TIMEOUT", "log.access_file". One that equals its
// default counts, one that asks for nothing does not.
func (c *Config) Unheeded() []string {
	var settings []string
	for _, k := range cooperative {
		written := c.written[k.key]
		if written == "" || k.asks != nil && !k.asks(c) {
			continue
		}
		if s := c.server(); s.ways[k.key] != "" {
			written += fmt.Sprintf(" (%s: %s)", s.program, s.ways[k.key])
		}
		settings = append(settings, written)
	}
	return settings
}

// Sets says whether somebody has set the key, be it to its default.
func (c *Config) Sets(key string) bool { return c.written[key] != "" }

// remember notes how each key was written, which is not what a hosting platform
// has said for everybody, and which variables of the platform were used.
func (l *loader) remember() {
	l.config.written, l.config.used = map[string]string{}, nil
	for key, from := range l.origins {
		switch {
		case from.layer == layerPlatform:
			l.config.used = append(l.config.used, from.from)
		case from.layer < layerFile:
		case from.from != "":
			l.config.written[key] = from.from
		default:
			l.config.written[key] = key
		}
	}
	slices.Sort(l.config.used)
}
