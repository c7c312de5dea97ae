package config

import (
	"slices"
	"testing"
)

func TestUnheeded(t *testing.T) {
	for _, test := range []struct {
		name    string
		file    string
		environ []string
		flags   map[string][]string
		command []string
		server  string
		want    []string
	}{
		{name: "nothing", command: []string{"uvicorn", "app:app"}, server: "uvicorn"},
		{
			name: "as they were written", command: []string{"./server"}, file: "max_failures = 9\nrequest_timeout = \"5m\"\n[log]\naccess_file = \"a\"\n",
			environ: []string{"GOSUPER_TIMEOUT=20"}, flags: map[string][]string{"max_requests": {"7"}},
			want: []string{"--max-requests", "max_failures", "GOSUPER_TIMEOUT", "request_timeout", "log.access_file"},
		},
		{
			name: "the stronger counts", command: []string{"./server"}, file: "timeout = 5\n",
			environ: []string{"GOSUPER_TIMEOUT=20"}, flags: map[string][]string{"timeout": {"7"}}, want: []string{"--timeout"},
		},
		{
			name: "equal to the default", command: []string{"./server"}, file: "timeout = \"120s\"\nworker_connections = 1000\nkeepalive = 5\n",
			want: []string{"timeout", "worker_connections", "keepalive"},
		},
		{
			name: "that ask for nothing", command: []string{"./server"},
			file: "timeout = 0\nstream_timeout = \"timeout\"\nmax_requests = 0\nmax_failures = 0\nworker_connections = 0\nupgrade_timeout = 0\nkeepalive = 0\n[log]\naccess_file = \"\"\n",
			want: []string{"keepalive"},
		},
		{
			name: "the ways of uvicorn", command: []string{"/venv/bin/uvicorn", "app:app", "--fd", "3"}, server: "uvicorn",
			flags: map[string][]string{"max_requests": {"7"}, "keepalive": {"5"}, "log.access_file": {"-"}, "worker_connections": {"9"}, "timeout": {"3"}},
			want: []string{
				"--max-requests (uvicorn: --limit-max-requests)", "--timeout", "--worker-connections (uvicorn: --limit-concurrency)",
				"--keep-alive (uvicorn: --timeout-keep-alive)", "--access-logfile (uvicorn: --log-config)",
			},
		},
		{
			name: "by another program", command: []string{"uv", "run", "python", "-m", "hypercorn", "app:app"}, server: "hypercorn",
			environ: []string{"GOSUPER_MAX_REQUESTS=7"}, want: []string{"GOSUPER_MAX_REQUESTS (hypercorn: --max-requests)"},
		},
		{
			name: "a worker class", command: []string{"gunicorn", "-k", "uvicorn.workers.UvicornWorker"}, server: "gunicorn",
			flags: map[string][]string{"timeout": {"7"}}, want: []string{"--timeout (gunicorn: --timeout)"},
		},
		{
			name: "node, which may have our package", command: []string{"node", "server.js"},
			file: "keepalive = 75\n", want: []string{"keepalive (node: server.keepAliveTimeout)"},
		},
		{name: "node that registers", command: []string{"node", "--import", "gosuper/register", "app.js"}, file: "keepalive = 75\n", want: []string{"keepalive"}},
		{name: "our own package", command: []string{"python", "-m", "gosuper", "uvicorn"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := Source{Environ: test.environ, Flags: test.flags, Command: test.command, Dir: t.TempDir()}
			if test.file != "" {
				source.File = write(t, "s.toml", test.file)
			}
			c, _ := mustLoad(t, source)
			if got := c.Unheeded(); !slices.Equal(got, test.want) || c.PlainServer() != test.server {
				t.Errorf("%q of %q, want %q of %q", got, c.PlainServer(), test.want, test.server)
			}
			var next Config
			text, err := c.MarshalJSON()
			if err == nil {
				err = next.UnmarshalJSON(text)
			}
			if err != nil || !slices.Equal(next.Unheeded(), test.want) {
				t.Errorf("after an upgrade %q, %v", next.Unheeded(), err)
			}
		})
	}
}

// TestServersHaveWays: each way is to a key that asks for something.
func TestServersHaveWays(t *testing.T) {
	for _, s := range plainServers {
		for key := range s.ways {
			if _, ok := find(key); !ok || !slices.ContainsFunc(cooperative, func(k struct {
				key  string
				asks func(*Config) bool
			},
			) bool {
				return k.key == key
			}) {
				t.Errorf("%s has a way to %s", s.program, key)
			}
		}
	}
}
