package config

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMistakesInFiles loads one file each and compares the whole message, in
// which FILE stands for the file.
func TestMistakesInFiles(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"unknown key", "\nwokers = 3", `FILE:2: wokers: is not a key (did you mean workers?)`},
		{"swapped letters", `bnid = []`, `FILE:1: bnid: is not a key (did you mean bind?)`},
		{"nothing near", `frobnicate = 1`, `FILE:1: frobnicate: is not a key`},
		{"flag name", `keep_alive = 1`, `FILE:1: keep_alive: is not a key (did you mean keepalive?)`},
		{"flag name elsewhere", `error_logfile = "x"`, `FILE:1: error_logfile: is not a key (did you mean log.file?)`},
		{"key of a table", `backoff_min = "1s"`, `FILE:1: backoff_min: is not a key (it belongs in [restart])`},
		{"key of the top", "[log]\nsurge = 3", `FILE:2: log.surge: is not a key (it belongs at the top, before the first [table])`},
		{"key in the wrong table", "[log]\n\n  backof_max = 3", `FILE:3: log.backof_max: is not a key (did you mean backoff_max in [restart]?)`},
		{"unknown table", "[logs]\nlevel = 3", `FILE:1: logs: is not a key (did you mean [log]?)`},
		{"unknown dotted table", "restrat.x = 1", `FILE:1: restrat: is not a key (did you mean [restart]?)`},
		{"proxy and preload", "preload = true\nworker_class = \"proxy\"", `FILE:2: worker_class: preload makes workers from an application, and a proxy has none of its own (leave out one of them)`},
		{"no socket", "worker_class = \"proxy\"\nproxy.to = \"unix\"", `FILE:2: proxy.to: the command must say {socket}, where the program is to listen (uvicorn: --uds {socket}; granian: --uds {socket})`},
		{"socket on a port", "env = { A = \"{socket}\" }\nworker_class = \"proxy\"", `FILE:2: worker_class: {socket} is nothing on a port (proxy.to = "unix")`},
		{"port on a socket", "env = { A = \"{port}\", B = \"{socket}\" }\nworker_class = \"proxy\"\nproxy.to = \"unix\"", `FILE:3: proxy.to: {port} is nothing on a unix socket (to = "port", or leave {port} out)`},
		{"ready_path", `proxy.ready_path = "health"`, `FILE:1: proxy.ready_path: must be the path of a URL, not "health" (as in ready_path = "/health")`},
		{"class of Gunicorn", `worker_class = "gthread"`, `FILE:1: worker_class: must be "inherit" or "proxy", not "gthread" (leave it out and run MODULE:ATTR, as in gosuper app.main:app: package gosuper of Python serves it with uvicorn, and WSGI applications on --threads N threads)`},
		{"no worker", `workers = 0`, `FILE:1: workers: must be at least 1, not 0, unless workers_max is set (as in workers_max = 4, so that one starts when a connection waits)`},
		{"most without a target", `workers_max = 4`, `FILE:1: workers_max: needs target_in_flight (how many requests in flight one worker is to have, as in target_in_flight = 8)`},
		{"target without a most", `target_in_flight = 4`, `FILE:1: target_in_flight: has no effect without workers_max (as in workers_max = 4)`},
		{"most below least", "workers = 5\nworkers_max = 4\ntarget_in_flight = 1", `FILE:2: workers_max: workers_max (4) must not be below workers (5)`},
		{"most above leases", "workers = 1\nworkers_max = 4\ntarget_in_flight = 1\nresources = { gpu = [\"0\"] }", `FILE:4: resources: workers_max (4) must not be above the number of leases, which is 1 for resources.gpu: every worker holds one for life (list more, or set workers_max = 1)`},
		{"too idle", `idle_timeout = 0`, `FILE:1: idle_timeout: must be at least 1s, not 0`},
		{"lines for a loader", "preload = true\nenv = { A = \"x\\n{slot}\" }", `FILE:2: env: A has a placeholder and more than one line, which cannot be with preload (the loader is told it in one line)`},
		{"key of Gunicorn", `keyfile = "x"`, `FILE:1: keyfile: is not a key (here it is tls.key; for cooperating workers)`},
		{"key of uvicorn", `timeout_keep_alive = 5`, `FILE:1: timeout_keep_alive: is not a key (here it is keepalive)`},
		{"key of Gunicorn in a table", "[log]\nloglevel = 5", `FILE:2: log.loglevel: is not a key (here it is log.level)`},
		{"table of Gunicorn", "[logconfig_dict]\nversion = 1", `FILE:1: logconfig_dict: is not a key (gosuper's own log has log.level, log.format and log.file; that of the application is the application's)`},
		{"option of uvicorn", `ws_max_size = 5`, `FILE:1: ws_max_size: is not a key (an option of the server belongs to command: ["app:app", "--ws-max-size"])`},
		{"option of Gunicorn's server", `limit_request_line = 5`, `FILE:1: limit_request_line: is not a key (gosuper leaves HTTP to the server: look for it among the options of COMMAND)`},
		{"quoted dots", `"log.level" = "debug"`, `FILE:1: "log.level": is not a key`},
		{"odd key", `"a\nb" = 1`, `FILE:1: "a\nb": is not a key`},
		{"no table", `log = "debug"`, `FILE:1: log: must be a table, not the string "debug" (begin it with [log])`},
		{"list of tables", "[[restart]]", `FILE:1: restart: must be a table, not a list of tables (begin it with [restart])`},
		{"table for a value", "[workers]", `FILE:1: workers: must be a number, "auto", "cpu", "cpu+1" or "2*cpu+1", not a table`},

		{"command as a string", `command = "./a b"`, `FILE:1: command: must be a list, not the string "./a b" (write ["./a", "b"])`},
		{"empty command", `command = []`, `FILE:1: command: must begin with a program (as in command = ["./agent-server"])`},
		{"empty program", `command = [""]`, `FILE:1: command: must begin with a program (as in command = ["./agent-server"])`},
		{"number in a list", `command = ["a", 3]`, `FILE:1: command: element 2 must be a string, not the number 3`},
		{"NUL", `command = ["a\u0000"]`, `FILE:1: command: element 1 must not contain a NUL byte`},
		{"path as a name", `name = "a/b"`, `FILE:1: name: must be a name, not the path "a/b"`},
		{"bare string", `name = true`, `FILE:1: name: must be a string, not true (write "true")`},
		{"workers 0", `workers = 0`, `FILE:1: workers: must be at least 1, not 0, unless workers_max is set (as in workers_max = 4, so that one starts when a connection waits)`},
		{"workers negative", `workers = -1`, `FILE:1: workers: must be from 0 to 10000, not -1`},
		{"workers quoted", `workers = "4"`, `FILE:1: workers: must be a number, "auto", "cpu", "cpu+1" or "2*cpu+1", not the string "4" (write 4 without quotes)`},
		{"workers half", `workers = 1.5`, `FILE:1: workers: must be a number, "auto", "cpu", "cpu+1" or "2*cpu+1", not the number 1.5`},
		{"surge", `surge = "half"`, `FILE:1: surge: must be a number, or a percentage such as "50%", not the string "half"`},
		{"surge percent", `surge = "-5%"`, `FILE:1: surge: must be a number, or a percentage such as "50%", not "-5%"`},
		{"surge too much", `surge = "101%"`, `FILE:1: surge: must be at most 100%, not "101%"`},
		{"negative duration", `keepalive = -1`, `FILE:1: keepalive: must not be negative, as -1 is`},
		{"NaN", `keepalive = nan`, `FILE:1: keepalive: must be a duration such as "30s" or "2m", or a number of seconds, not NaN`},
		{"infinite", `keepalive = inf`, `FILE:1: keepalive: must be at most 10 years, not +Inf`},
		{"overflow", `keepalive = 9223372036854775807`, `FILE:1: keepalive: must be at most 10 years, not 9223372036854775807`},
		{"date", `keepalive = 2020-01-01`, `FILE:1: keepalive: must be a duration such as "30s" or "2m", or a number of seconds, not a date`},
		{"zero startup", `startup_timeout = 0`, `FILE:1: startup_timeout: must be above 0`},
		{"zero ready", `ready = "0s"`, `FILE:1: ready: must be above 0`},
		{"ready", `ready = "soon"`, `FILE:1: ready: must be "auto", "notify", or a duration such as "30s" or "2m", or a number of seconds, not "soon"`},
		{"backlog", `backlog = 0`, `FILE:1: backlog: must be from 1 to 1000000000, not 0`},
		{"signal", `stop_signal = "TREM"`, `FILE:1: stop_signal: must be one of SIGTERM, SIGINT, SIGQUIT, SIGABRT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, not "TREM" (did you mean SIGTERM?)`},
		{"SIGKILL", `stop_signal = "kill"`, `FILE:1: stop_signal: must be a signal that a worker can handle, which SIGKILL is not (a grace of 0 cuts at once)`},
		{"same signals", "abort_signal = \"SIGINT\"\nstop_signal = \"int\"", `FILE:2: stop_signal: stop_signal and abort_signal are both SIGINT (a worker must be able to tell them apart)`},
		{"decimal umask", `umask = 22`, `FILE:1: umask: must be an octal number in quotes, such as "022": the bare number 22 would be decimal (write "022")`},
		{"wide umask", `umask = 0o1777`, `FILE:1: umask: must be from 000 to 777, not 0o1777`},
		{"umask digits", `umask = "89"`, `FILE:1: umask: must be an octal number in quotes, such as "022", not "89"`},
		{"user and group", `user = "a:b"`, `FILE:1: user: must be one user, not "a:b" (user and group are two keys)`},
		{"group id", `group = 4294967295`, `FILE:1: group: must be an id from 0 to 4294967294, not 4294967295`},
		{"env number", "[env]\nA = \"x\"\nB = 1", `FILE:3: env.B: must be a string, not the number 1 (write "1")`},
		{"env protocol", `env = { LISTEN_FDS = "3" }`, `FILE:1: env.LISTEN_FDS: must not set LISTEN_FDS, which gosuper itself gives to its workers or keeps from them`},
		{"env name", `env = { "a=b" = "3" }`, `FILE:1: env."a=b": must have a name without = and NUL, not "a=b"`},
		{"backoff", "[restart]\nbackoff_min = \"1m\"", `FILE:2: restart.backoff_min: backoff_min (60s) must not be above backoff_max (30s)`},
		{"stream_timeout", `stream_timeout = "auto"`, `FILE:1: stream_timeout: must be a duration such as "30s" or "2m", or a number of seconds, or "timeout", not "auto"`},
		{"timeout of a word", `timeout = "timeout"`, `FILE:1: timeout: must be a duration such as "30s" or "2m", or a number of seconds, not "timeout"`},
		{"connections", `worker_connections = -1`, `FILE:1: worker_connections: must be from 0 to 1000000000, not -1`},
		{"access format", `log.access_format = "common"`, `FILE:1: log.access_format: must be "combined" or "json", not "common"`},
		{"what workers write", `log.workers = 3`, `FILE:1: log.workers: must be a string, not the number 3 (write "3")`},
		{"how it is passed on", `log.workers = "json"`, `FILE:1: log.workers: must be "raw" or "wrapped", not "json"`},
		{"access_logfile", `access_logfile = "x"`, `FILE:1: access_logfile: is not a key (did you mean log.access_file?)`},
		{"readiness", "ready = \"5s\"\nstartup_timeout = 3", `FILE:2: startup_timeout: ready (5s) must be below startup_timeout (3s), or no worker is ever ready in time`},
		{"no backoff", "restart.backoff_min = 0", `FILE:1: restart.backoff_min: must be above 0`},
		{"level", `log = { level = "inof" }`, `FILE:1: log.level: must be "debug", "info", "warn" or "error", not "inof" (did you mean info?)`},
		{"empty control", `control.socket = ""`, `FILE:1: control.socket: must not be empty ("off" is no control socket)`},
		{"control as an address", `control.socket = "unix:/run/x"`, `FILE:1: control.socket: must be a path alone (did you mean "/run/x"?)`},
		{"abstract control", `control.socket = "@x"`, `FILE:1: control.socket: must be a path, not an abstract address: those have no owner`},
		{"no log file", `log.file = ""`, `FILE:1: log.file: must be a file ("-" is stderr)`},
		{"no env_file", `env_file = "/nonexistent/x"`, `FILE:1: env_file: /nonexistent/x: cannot read it: no such file`},
		{"unix path", `bind = ["unix:/` + strings.Repeat("x", 110) + `"]`, `FILE:1: bind: the path of a unix socket has at most ` + strconv.Itoa(maxUnixPath) + ` bytes, which "/` + strings.Repeat("x", 110) + `" has not`},
		{"several addresses in one text", `bind = ":1, :2"`, `FILE:1: bind: must be one address or a list, not several in one string (write [":1", ":2"])`},
		{"address as a number", `bind = 8000`, `FILE:1: bind: must be an address or a list of them, not the number 8000 (write ":8000")`},
		{"no address", `bind = "web"`, `FILE:1: bind: has no port: "web" (did you mean "web:8000"?)`},
		{"one path twice", `bind = ["unix:/tmp/a", "unix:/tmp/../tmp/a"]`, `FILE:1: bind: has "unix:/tmp/a" twice, also as "unix:/tmp/../tmp/a"`},

		{"syntax", "workers = 3\nbind = [\"a\"\nname = 3\n", `FILE:3:1: is not TOML: expected a comma (',') or array terminator (']'), but got 'n'`},
		{"bare octal", "\numask = 022", `FILE:2:9: is not TOML: Invalid integer "022": cannot have leading zeroes`},
		{"twice", "name = \"a\"\nname = \"b\"", `FILE:2:1: is not TOML: Key 'name' has already been defined.`},
		{"table twice", "[log]\n[log]", `FILE:2:2: is not TOML: Key 'log' has already been defined.`},
		{"table and value", "log.level = \"info\"\n\nlog = \"debug\"", `FILE:3: log: is already set in line 1`},
		{"not UTF-8", "name = \"a\"\n# \xff", `FILE:2:3: is not TOML: it is not UTF-8 text`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := write(t, "s.toml", test.file)
			source := Source{File: file, Command: []string{"a"}}
			got := strings.ReplaceAll(loadError(source).Error(), file, "FILE")
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestMistakesElsewhere(t *testing.T) {
	file := write(t, "s.toml", "[restart]\nbackoff_max = \"1s\"\n")
	line := []string{"a"}
	flag := func(key string, values ...string) Source {
		return Source{Command: line, Flags: map[string][]string{key: values}}
	}
	tests := []struct {
		name   string
		source Source
		want   string
	}{
		{"no command", Source{}, `command: is missing: there is nothing to supervise (gosuper [flags] COMMAND [ARG...], as in gosuper -w 4 -b :8000 ./agent-server, or gosuper -c FILE; gosuper help has the flags)`},
		{"no command beside a file", Source{Dir: filepath.Dir(write(t, "supervisor.toml", "command = [\"a\"]\n"))}, `command: is missing: there is nothing to supervise (there is a supervisor.toml in the working folder: gosuper -c supervisor.toml)`},
		{"no command in a file", Source{File: file}, file + `: command: is missing: there is nothing to supervise (gosuper [flags] COMMAND [ARG...], or command = ["./agent-server"] in the file)`},
		{"empty command", Source{Command: []string{""}}, `COMMAND: must begin with a program (as in command = ["./agent-server"])`},
		{"proxied application", Source{Command: []string{"a.b:c"}, Flags: map[string][]string{"worker_class": {"proxy"}}}, `--worker-class: "a.b:c" is served by package gosuper of Python, which needs no proxy before it (leave it out)`},
		{"flag", flag("workers", "0"), `--workers: must be at least 1, not 0, unless workers_max is set (as in workers_max = 4, so that one starts when a connection waits)`},
		{"flag overflow", flag("workers", "99999999999999999999"), `--workers: must be from 0 to 10000, not 9223372036854775807`},
		{"flag text", flag("backlog", "many"), `--backlog: must be a number from 1 to 1000000000, not "many"`},
		{"flag of another name", flag("log.file", ""), `--error-logfile: must be a file ("-" is stderr)`},
		{"flag address", flag("bind", ":1", "x"), `--bind: has no port: "x" (did you mean "x:8000"?)`},
		{"flag variable", flag("env", "A"), `--env: must be NAME=VALUE, not "A"`},
		{"flag bytes", flag("chdir", "\xff"), `--chdir: must be UTF-8 text`},
		{"no such flag", flag("surge", "1"), `surge: has no flag`},
		{"variable", Source{Command: line, Environ: []string{"GOSUPER_UMASK=999"}}, `GOSUPER_UMASK: must be an octal number in quotes, such as "022", not "999"`},
		{"list variable", Source{Command: line, Environ: []string{"GOSUPER_BIND=:1,"}}, `GOSUPER_BIND: must be "host:port", "[::1]:80", ":8000", "unix:/path" or "fd://3", not ""`},
		{"port", Source{Command: line, Environ: []string{"PORT=tcp://10.0.0.1:80"}}, `PORT: must be a port from 0 to 65535, not "tcp://10.0.0.1:80"`},
		{"concurrency", Source{Command: line, Environ: []string{"WEB_CONCURRENCY=0"}}, `WEB_CONCURRENCY: must be at least 1, not 0, unless workers_max is set (as in workers_max = 4, so that one starts when a connection waits)`},
		{"file and variable", Source{Command: line, File: file, Environ: []string{"GOSUPER_RESTART_BACKOFF_MIN=2"}}, `GOSUPER_RESTART_BACKOFF_MIN: backoff_min (2s) must not be above backoff_max (1s)`},
		{"missing file", Source{File: "/nonexistent/s.toml"}, `/nonexistent/s.toml: cannot read the configuration: no such file`},
		{"missing file in the working folder", Source{File: "s.toml", Dir: "/nonexistent"}, `s.toml: cannot read the configuration: no such file (looked for /nonexistent/s.toml)`},
		{"folder", Source{File: filepath.Dir(file)}, filepath.Dir(file) + `: cannot read the configuration: it is a folder, not a regular file`},
		{"endless file", Source{File: "/dev/zero"}, `/dev/zero: cannot read the configuration: it is a device, not a regular file`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := loadError(test.source).Error(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	file := write(t, "s.toml", "# a comment\nwokers = 3\nbind = [\"8000\", \"127.0.0.1\"]\n\n[restart]\nreset_after = -3\n[env]\nA = 1\n")
	err := loadError(Source{
		File: file, Command: []string{"a"}, Environ: []string{"GOSUPER_KEEPALIVE=x", "WEB_CONCURRENCY=x"},
		Flags: map[string][]string{"user": {"a:b"}},
	})
	var all *Errors
	if !errors.As(err, &all) {
		t.Fatalf("the error is a %T", err)
	}
	want := []string{
		`FILE:2: wokers: is not a key`,
		`FILE:3: bind: must be "host:port", not a port alone`,
		`FILE:3: bind: has no port: "127.0.0.1"`,
		`FILE:6: restart.reset_after: must not be negative, as -3 is`,
		`FILE:8: env.A: must be a string, not the number 1`,
		`GOSUPER_KEEPALIVE: must be a duration such as "30s" or "2m", or a number of seconds, not "x"`,
		`--user: must be one user, not "a:b"`,
		`WEB_CONCURRENCY: must be a number, "auto", "cpu", "cpu+1" or "2*cpu+1", not "x"`,
	}
	var got []string
	for _, e := range all.List {
		got = append(got, strings.ReplaceAll(e.Short(), file, "FILE"))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if text := err.Error(); !strings.HasPrefix(text, "8 errors in the configuration\n  "+file+":2: ") || strings.Count(text, "\n") != 8 {
		t.Errorf("the text is\n%s", text)
	}
}

func TestBrokenFileHidesNothingElse(t *testing.T) {
	file := write(t, "s.toml", "=")
	err := loadError(Source{File: file, Environ: []string{"GOSUPER_WORKERS=x"}})
	if text := err.Error(); !strings.Contains(text, ":1:1: is not TOML") || !strings.Contains(text, "GOSUPER_WORKERS") || strings.Contains(text, "command") {
		t.Errorf("got %s", text)
	}
}
