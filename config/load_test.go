package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is a value of a key other than its default, as TOML and as text.
type sample struct{ toml, text string }

// samples has one for every key; that of command and env is no text.
var samples = map[string]sample{
	"command":                  {toml: `["./serve", "", "--name=\"\u0001\\\n\u00e9\""]`},
	"name":                     {`"api"`, "api"},
	"bind":                     {`[":8080", "unix:/run/api.sock"]`, ":8080,unix:/run/api.sock"},
	"bind_slot":                {`["unix:/run/{slot}.sock", ":901{slot}"]`, "unix:/run/{slot}.sock,:901{slot}"},
	"workers":                  {"7", "7"},
	"worker_class":             {`"proxy"`, "proxy"},
	"worker_connections":       {"0", "0"},
	"surge":                    {`"50%"`, "50%"},
	"start_parallel":           {"2", "2"},
	"preload":                  {"true", "true"},
	"timeout":                  {`"10m"`, "10m"},
	"stream_timeout":           {`"30s"`, "30"},
	"upgrade_timeout":          {`"1h"`, "1h"},
	"request_timeout":          {`"5m"`, "5m0s"},
	"graceful_timeout":         {`"0s"`, "0"},
	"drain_timeout":            {`"2m30s"`, "150"},
	"startup_timeout":          {`"5m"`, "300"},
	"watchdog":                 {`"20s"`, "20s"},
	"backlog_timeout":          {`"500ms"`, "0.5"},
	"keepalive":                {`"1.5s"`, "1.5"},
	"ready":                    {`"notify"`, "notify"},
	"max_requests":             {"1000", "1000"},
	"max_requests_jitter":      {"50", "50"},
	"max_failures":             {"20", "20"},
	"workers_max":              {"20", "20"},
	"target_in_flight":         {"8", "8"},
	"idle_timeout":             {`"90s"`, "90"},
	"spares":                   {"2", "2"},
	"stop_signal":              {`"SIGINT"`, "int"},
	"abort_signal":             {`"SIGQUIT"`, "SIGQUIT"},
	"backlog":                  {"64", "64"},
	"chdir":                    {`"/srv"`, "/srv"},
	"user":                     {`"www-data"`, "www-data"},
	"group":                    {`"1000"`, "1000"},
	"umask":                    {`"027"`, "27"},
	"pidfile":                  {`"/run/api.pid"`, "/run/api.pid"},
	"env_file":                 {`"ENVFILE"`, "ENVFILE"},
	"env_pass":                 {`["LANG", "LC_*"]`, "LANG,LC_*"},
	"resources":                {toml: `{ gpu = ["0", "1"], nv-link = ["a"] }`},
	"env":                      {toml: `{ A = "{slot}", "b.c" = "" }`},
	"restart.backoff_min":      {`"1s"`, "1s"},
	"restart.backoff_max":      {`"1h"`, "1h"},
	"restart.reset_after":      {`"0s"`, "0"},
	"restart.startup_attempts": {"5", "5"},
	"log.level":                {`"debug"`, "debug"},
	"log.format":               {`"json"`, "json"},
	"log.file":                 {`"/var/log/api.log"`, "/var/log/api.log"},
	"log.access_file":          {`"-"`, "-"},
	"log.access_format":        {`"json"`, "json"},
	"log.workers":              {`"wrapped"`, "wrapped"},
	"control.socket":           {`"/run/api.sock"`, "/run/api.sock"},
	"shutdown.delay":           {`"15s"`, "15"},
	"admin.bind":               {`"127.0.0.1:9090"`, "127.0.0.1:9090"},
	"admin.actions":            {"true", "true"},
	"tls.cert":                 {`"CERTFILE"`, "CERTFILE"},
	"reload":                   {`true`, "true"},
	"watch.paths":              {`["/srv/app"]`, "/srv/app"},
	"watch.build":              {`["make", "-j2"]`, "make,-j2"},
	"tls.key":                  {`"KEYFILE"`, "KEYFILE"},

	"max_worker_lifetime":        {`"24h"`, "86400"},
	"max_worker_lifetime_jitter": {`"1h30m"`, "90m"},
	"max_worker_memory":          {`"512MiB"`, "512mib"},
	"max_worker_memory_hard":     {`"1GiB"`, "1073741824"},
	"worker_memory":              {`"300MB"`, "300000000"},

	"incidents.dir":  {`"/var/lib/api"`, "/var/lib/api"},
	"incidents.keep": {"7", "7"},

	"limits.nofile":        {"65536", "65536"},
	"limits.core":          {"0", "0"},
	"limits.as":            {`"8GiB"`, "8GiB"},
	"limits.nice":          {"-5", "-5"},
	"limits.oom_score_adj": {"500", "500"},
	"limits.no_new_privs":  {"true", "true"},
	"limits.outlive":       {"true", "true"},

	"proxy.to":              {`"unix"`, "unix"},
	"proxy.ready_path":      {`"/health"`, "/health"},
	"proxy.connect_timeout": {`"1s"`, "1"},
}

// partners are the keys that mean nothing without another.
var partners = map[string]string{"workers_max": "target_in_flight", "target_in_flight": "workers_max", "tls.cert": "tls.key", "tls.key": "tls.cert", "admin.actions": "admin.bind"}

// sampleFiles makes the files that samples name, and fills in their names.
func sampleFiles(t *testing.T) *strings.Replacer {
	cert, key := newPair(t, "a", time.Now())
	return strings.NewReplacer("ENVFILE", write(t, "vars", "A=1\n"),
		"CERTFILE", write(t, "cert.pem", cert), "KEYFILE", write(t, "key.pem", key))
}

// write writes a file for a test and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustLoad loads a source that has no mistakes.
func mustLoad(t *testing.T, s Source) (*Config, []string) {
	t.Helper()
	c, warnings, err := Load(s)
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}

func TestEveryKeyFromFile(t *testing.T) {
	files := sampleFiles(t)
	for _, k := range Keys() {
		s, ok := samples[k.Name]
		if !ok {
			t.Errorf("%s has no sample", k.Name)
			continue
		}
		value := files.Replace(s.toml)
		text := "command = [\"a\"]\n" + k.Name + " = " + value + "\n"
		want := []string{k.Name}
		if k.Name == "command" {
			text = "command = " + value + "\n"
			want = []string{"command", "name"}
		}
		if p := partners[k.Name]; p != "" {
			text += p + " = " + files.Replace(samples[p].toml) + "\n"
			want = append(want, p)
		}
		before, _ := mustLoad(t, Source{Command: []string{"a"}})
		after, _ := mustLoad(t, Source{File: write(t, "s.toml", text)})
		if diff := Diff(before, after); !slices.Equal(slices.Sorted(slices.Values(diff)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s = %s changes %v", k.Name, value, diff)
		}
		if printed := k.print(after); k.Name != "command" && printed != value {
			t.Errorf("%s = %s is printed as %s", k.Name, value, printed)
		}

		again, warnings := mustLoad(t, Source{File: write(t, "again.toml", after.TOML(nil))})
		again.written = after.written // here every key is
		if !reflect.DeepEqual(after, again) && k.Name != "drain_timeout" || len(Diff(after, again)) > 0 {
			t.Errorf("%s does not survive TOML(): %+v, then %+v\n%s", k.Name, after, again, after.TOML(nil))
		}
		if wantWarning := strings.HasSuffix(k.Name, "_jitter"); (len(warnings) > 0) != wantWarning {
			t.Errorf("%s: warnings %q", k.Name, warnings)
		}
	}
}

func TestEveryKeyFromEnvironmentAndFlags(t *testing.T) {
	files := sampleFiles(t)
	for _, k := range Keys() {
		text := files.Replace(samples[k.Name].text)
		want := files.Replace(samples[k.Name].toml)
		if k.Env != "" {
			environ := []string{k.Env + "=" + text}
			if p, ok := find(partners[k.Name]); ok {
				environ = append(environ, p.Env+"="+files.Replace(samples[p.Name].text))
			}
			c, _ := mustLoad(t, Source{Command: []string{"a"}, Environ: environ})
			if got := k.print(c); got != want {
				t.Errorf("%s=%s gives %s, not %s", k.Env, text, got, want)
			}
		}
		if k.Flag != "" && k.Name != "env" {
			values := []string{"first, overridden", text}
			if k.Repeat {
				values = strings.Split(text, ",")
			}
			source := Source{Command: []string{"a"}, Flags: map[string][]string{k.Name: values}}
			if p := partners[k.Name]; p != "" {
				partner, _ := find(p)
				source.Environ = []string{partner.Env + "=" + files.Replace(samples[p].text)}
			}
			c, _ := mustLoad(t, source)
			if got := k.print(c); got != want {
				t.Errorf("--%s %q gives %s, not %s", k.Flag, values, got, want)
			}
		}
	}
}

func TestPrecedence(t *testing.T) {
	file := write(t, "s.toml", "command = [\"from-file\"]\nworkers = 3\nbind = [\":3\"]\nenv = { A = \"file\", B = \"file\" }\n")
	environ := []string{"GOSUPER_WORKERS=2", "GOSUPER_BIND=:2, :22", "PORT=4", "WEB_CONCURRENCY=4"}
	flags := map[string][]string{"workers": {"1"}, "bind": {":1"}, "env": {"A=flag=1", "C="}}
	tests := []struct {
		name    string
		source  Source
		workers string
		bind    []string
		warning string
	}{
		{"defaults", Source{}, "auto", []string{"127.0.0.1:8000"}, ""},
		{"platform", Source{Environ: environ[2:]}, "4", []string{"0.0.0.0:4"}, ""},
		{"file", Source{File: file, Environ: environ[2:]}, "3", []string{":3"}, "PORT=4 is ignored: bind in " + file + " says where to bind"},
		{"environment", Source{File: file, Environ: environ}, "2", []string{":2", ":22"}, "PORT=4 is ignored: GOSUPER_BIND says where to bind"},
		{"flags", Source{File: file, Environ: environ, Flags: flags}, "1", []string{":1"}, "PORT=4 is ignored: --bind says where to bind"},
		{"empty variables", Source{File: file, Environ: []string{"GOSUPER_WORKERS=", "PORT=", "WEB_CONCURRENCY="}}, "3", []string{":3"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.source.Command = []string{"/bin/from-line", "-x"}
			c, warnings := mustLoad(t, test.source)
			if c.Workers.String() != test.workers || !slices.Equal(c.Bind, test.bind) {
				t.Errorf("workers %s, bind %q", c.Workers, c.Bind)
			}
			if c.Name != "from-line" || len(c.Command) != 2 {
				t.Errorf("command %q is called %q", c.Command, c.Name)
			}
			if got := strings.Join(warnings, "\n"); got != test.warning {
				t.Errorf("warnings %q", got)
			}
		})
	}
	c, _ := mustLoad(t, Source{File: file, Flags: flags})
	if want := map[string]string{"A": "flag=1", "B": "file", "C": ""}; !maps.Equal(c.Env, want) {
		t.Errorf("env is %v", c.Env)
	}
}

func TestPathsAreAbsolute(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "app"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"s.toml": "command = [\"./a\"]\nchdir = \"app\"\npidfile = \"p\"\nenv_file = \"../vars\"\nbind = [\"unix:s\", \"unix:/x/../y\"]\nlog.file = \"l\"\nlog.access_file = \"m\"\ncontrol.socket = \"c\"\n",
		"vars":   "A=1",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := mustLoad(t, Source{File: "s.toml", Dir: dir})
	got := []string{c.Dir, c.Chdir, c.PIDFile, c.EnvFile, c.Bind[0], c.Bind[1], c.Log.File, c.Log.AccessFile, c.Control.Socket, c.Command[0]}
	app := dir + "/app"
	want := []string{dir, app, app + "/p", dir + "/vars", "unix:" + app + "/s", "unix:/y", app + "/l", app + "/m", app + "/c", "./a"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestUnknownVariables(t *testing.T) {
	_, warnings := mustLoad(t, Source{Command: []string{"a"}, Environ: []string{
		"GOSUPER_WORKER=3", "GOSUPER_COMMAND=x", "GOSUPER_QQQQ=1", "OTHER=1",
		"GOSUPER_PORT=tcp://10.0.0.1:80", "GOSUPER_PORT_80_TCP=x", "GOSUPER_SERVICE_HOST=x",
		"GOSUPER_NOTIFY_FD=4", "GOSUPER_SLOT=0", "GOSUPER_PLACE=0", "GOSUPER_GENERATION=1",
		"GOSUPER_SCOREBOARD_FD=5", "GOSUPER_FLEET_FD=6", "GOSUPER_ACCESS_FD=7", "GOSUPER_LIMIT_REQUESTS=1",
		"GOSUPER_ACCESS_FORMAT=json", "GOSUPER_TLS_FD=8",
	}})
	want := []string{
		"GOSUPER_COMMAND is ignored: this key is not set by the environment",
		"GOSUPER_QQQQ is not a setting",
		"GOSUPER_WORKER is not a setting: did you mean GOSUPER_WORKERS?",
	}
	if !slices.Equal(warnings, want) {
		t.Errorf("got %q", warnings)
	}
}

func TestStopSignalOfTheMasterAbove(t *testing.T) {
	for _, test := range []struct {
		environ []string
		want    string
	}{
		{[]string{"GOSUPER_STOP_SIGNAL=SIGINT"}, "SIGINT"},
		{[]string{"GOSUPER_STOP_SIGNAL=SIGINT", "GOSUPER_WORKER_ID=1"}, "SIGTERM"},
	} {
		c, warnings := mustLoad(t, Source{Command: []string{"a"}, Environ: test.environ})
		if c.StopSignal.Name != test.want || len(warnings) > 0 {
			t.Errorf("%q gives %s, warnings %q", test.environ, c.StopSignal, warnings)
		}
	}
}

func TestReloadFindsWhatTheFilesSay(t *testing.T) {
	vars := write(t, "vars", "A=1\n")
	source := Source{Command: []string{"a"}, Flags: map[string][]string{"log.level": {"debug"}}, Environ: []string{"GOSUPER_ENV_FILE=" + vars}}
	before, _ := mustLoad(t, source)
	if diff := Diff(before, before); diff != nil {
		t.Errorf("a configuration differs from itself in %v", diff)
	}
	if err := os.WriteFile(vars, []byte("A=2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	after, _ := mustLoad(t, source)
	if diff := Diff(before, after); !slices.Equal(diff, []string{"env_file"}) {
		t.Errorf("the difference is %v", diff)
	}
}

// TestKeysCoverConfig holds that no field of Config is without a key.
func TestKeysCoverConfig(t *testing.T) {
	fields := 0
	structs := []reflect.Type{
		reflect.TypeFor[Config](), reflect.TypeFor[Restart](), reflect.TypeFor[Log](), reflect.TypeFor[Control](),
		reflect.TypeFor[Shutdown](), reflect.TypeFor[Admin](), reflect.TypeFor[Incidents](), reflect.TypeFor[TLS](), reflect.TypeFor[Limits](), reflect.TypeFor[Proxy](), reflect.TypeFor[Watch](),
	}
	for _, of := range structs {
		for f := range of.NumField() {
			if of.Field(f).IsExported() {
				fields++
			}
		}
	}
	// Dir is no key, and the structs but Config itself are tables.
	if fields -= len(structs); fields != len(Keys()) {
		t.Errorf("%d fields, but %d keys", fields, len(Keys()))
	}
}

// loadError returns the error of a source.
func loadError(s Source) error {
	_, _, err := Load(s)
	return err
}

// One address needs no list.
func TestOneAddress(t *testing.T) {
	for _, address := range []string{":3", "unix:/a, b"} {
		file := write(t, "s.toml", "command = [\"/bin/a\"]\nbind = "+quote(address)+"\nbind_slot = \"unix:/{slot}\"\n")
		if c, _ := mustLoad(t, Source{File: file}); !slices.Equal(c.Bind, []string{address}) || !slices.Equal(c.BindSlot, []string{"unix:/{slot}"}) {
			t.Errorf("%q is %q and %q", address, c.Bind, c.BindSlot)
		}
	}
}
