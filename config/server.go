package config

import (
	"cmp"
	"slices"
	"strings"
)

// checkServer warns about a command of a known server that would go wrong below a
// supervisor: it starts workers of its own in each worker, watches files there, or
// does not serve the socket that it is given.
func (l *loader) checkServer(environ map[string]string) {
	server, args := l.config.PlainServer(), l.config.Command
	var many, socket string
	switch server {
	case "uvicorn":
		many = option(args, "--workers")
		if option(args, "--fd") == "" && environ["UVICORN_FD"] == "" {
			socket = "uvicorn does not serve the socket that gosuper has bound: add --fd 3 to its command"
		}
	case "hypercorn":
		many = option(args, "-w", "--workers")
		if !strings.HasPrefix(option(args, "-b", "--bind"), "fd://") {
			socket = "hypercorn does not serve the socket that gosuper has bound: add -b fd://3 to its command"
		}
	case "gunicorn":
		many = option(args, "-w", "--workers")
		if strings.HasPrefix(option(args, "-b", "--bind"), "fd://") {
			socket = "gunicorn finds the sockets of gosuper by itself, and with -b fd:// it takes them twice and cannot start: leave that out"
		}
	default:
		return
	}
	by, leave := server+" --workers "+many, "leave that out, and set workers"
	if many == "" && server != "hypercorn" {
		many = l.passedOn("WEB_CONCURRENCY", environ)
		by, leave = "WEB_CONCURRENCY="+many, "unset it for them, and set workers"
	}
	if many != "" && many != "1" {
		l.warn("%s makes every worker of gosuper start workers of its own: %s", by, leave)
	}
	if slices.Contains(args, "--reload") {
		l.warn("%s --reload makes every worker of gosuper watch the files, and start a process of its own that serves: leave that out, and say gosuper --reload", server)
	}
	if socket != "" {
		l.warnings = append(l.warnings, socket)
	}
}

// passedOn is the value of a variable as workers get it.
func (l *loader) passedOn(name string, environ map[string]string) string {
	c := l.config
	if slices.Contains(c.used, name) {
		environ = nil
	}
	return cmp.Or(c.Env[name], c.fileEnv[name], environ[name])
}

// option is the value of the last of some options in a command line, in any of the
// forms "-w 4", "-w4", "--workers 4" and "--workers=4"; "": there is none.
func option(args []string, names ...string) (value string) {
	for i, arg := range args {
		for _, name := range names {
			rest, found := strings.CutPrefix(arg, name)
			switch {
			case !found:
			case rest == "" && i+1 < len(args):
				value = args[i+1]
			case strings.HasPrefix(rest, "="):
				value = rest[1:]
			case rest != "" && !strings.HasPrefix(name, "--"):
				value = rest
			}
		}
	}
	return value
}
