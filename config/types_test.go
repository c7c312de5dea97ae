package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSurgeOf(t *testing.T) {
	tests := []struct {
		surge   Surge
		workers int
		want    int
	}{
		{Surge{}, 4, 0},
		{Surge{N: 3}, 1, 3},
		{Surge{N: 50, Percent: true}, 4, 2},
		{Surge{N: 50, Percent: true}, 5, 3},
		{Surge{N: 1, Percent: true}, 1, 1},
		{Surge{N: 0, Percent: true}, 100, 0},
		{Surge{N: 100, Percent: true}, MaxWorkers, MaxWorkers},
		{Surge{N: 25, Percent: true}, 0, 0},
	}
	for _, test := range tests {
		if got := test.surge.Of(test.workers); got != test.want {
			t.Errorf("%s of %d is %d, not %d", test.surge, test.workers, got, test.want)
		}
	}
}

func TestDurations(t *testing.T) {
	tests := []struct {
		in   input
		want string
	}{
		{input{value: int64(30)}, "30s"},
		{input{value: int64(0)}, "0s"},
		{input{value: 1.5}, "1.5s"},
		{input{value: 0.1}, "100ms"},
		{input{value: "30"}, "30s"},
		{input{value: "1.5"}, "1.5s"},
		{input{value: "2m0s"}, "120s"},
		{input{value: "3m0s"}, "3m"},
		{input{value: "1m"}, "60s"},
		{input{value: "90s"}, "90s"},
		{input{value: "60m"}, "1h"},
		{input{value: "1h30m"}, "1h30m"},
		{input{value: "1h0m1s"}, "1h0m1s"},
		{input{value: "87600h"}, "87600h"},
		{input{texts: []string{"30"}}, "30s"},
		{input{value: "87601h"}, ""},
		{input{value: "99999999999999h"}, ""},
		{input{value: "-1s"}, ""},
		{input{value: "-1"}, ""},
		{input{value: "-0.5"}, ""},
		{input{value: -1e300}, ""},
		{input{value: 1e300}, ""},
		{input{value: strings.Repeat("9", 400)}, ""},
		{input{value: strings.Repeat("9", 400) + ".5"}, ""},
		{input{value: ""}, ""},
		{input{value: "."}, ""},
		{input{value: "-"}, ""},
		{input{value: "1.2.3"}, ""},
		{input{value: "nan"}, ""},
		{input{value: "inf"}, ""},
		{input{value: "0x10"}, ""},
		{input{value: "1e3"}, ""},
		{input{value: "1d"}, ""},
		{input{value: "5 s"}, ""},
		{input{value: true}, ""},
	}
	for _, test := range tests {
		d, err := span(test.in, "a duration", 0)
		got := ""
		if err == nil {
			got = formatDuration(d)
		}
		if got != test.want {
			t.Errorf("%+v is %q, not %q (%v)", test.in, got, test.want, err)
		}
		if back, err2 := parseDuration(got); err == nil && (err2 != nil || back != d) {
			t.Errorf("%s is read back as %v", got, back)
		}
	}
}

func TestReadyDurations(t *testing.T) {
	for text, want := range map[string]Ready{
		"auto":   {Mode: ReadyAuto, After: time.Second},
		"notify": {Mode: ReadyNotify},
		"3":      {Mode: ReadyAfter, After: 3 * time.Second},
	} {
		got, err := readyKind.parse(input{texts: []string{text}})
		if err != nil || got != want {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"workers", "bind", "backlog", "name", "env", "group"}
	tests := map[string]string{
		"wokers": "workers", "worker": "workers", "WORKERS": "workers", "wrokers": "workers",
		"bin": "bind", "bidn": "bind", "backlogs": "backlog", "evn": "env", "nmae": "name",
		"x": "", "": "", "timeout": "", "grope": "", strings.Repeat("workers", 1000): "",
	}
	for name, want := range tests {
		if got := nearest(name, words); got != want {
			t.Errorf("%q is near to %q, not %q", name, got, want)
		}
	}
}

// TestReference holds that people find every key, flag, variable and default.
func TestReference(t *testing.T) {
	text := Reference()
	var flags []string
	for _, k := range Keys() {
		_, word := split(k.Name)
		for _, part := range []string{"\n  " + word + "\n", k.Env, k.Kind, k.Placeholder, "--" + k.Flag} {
			if part != "--" && !strings.Contains(text, part) {
				t.Errorf("%s: the reference lacks %q", k.Name, part)
			}
		}
		if k.Flag != "" {
			flags = append(flags, k.Shorthand+" "+k.Flag)
		}
		if k.Usage == "" || strings.Contains(k.Usage, "\n") || (k.Flag == "" || k.Bool) != (k.Placeholder == "") {
			t.Errorf("%s is described badly", k.Name)
		}
	}
	want := []string{
		"n name", "b bind", "w workers", "k worker-class", " worker-connections", " preload", "t timeout", " graceful-timeout", " drain-timeout", " startup-timeout", " keep-alive", " ready",
		" max-requests", " max-requests-jitter", " workers-max", " reload", " backlog", " chdir", "u user", "g group", "m umask", "p pid", " env-file", "e env",
		" log-level", " log-format", " error-logfile", " access-logfile", " control", " admin",
	}
	if !slices.Equal(flags, want) {
		t.Errorf("the flags are %q", flags)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 125 {
			t.Errorf("too long for a terminal: %s", line)
		}
	}
}

// TestDefaults holds the defaults, on which users rely.
func TestDefaults(t *testing.T) {
	want := map[string]string{
		"command": "[]", "name": `""`, "bind": `["127.0.0.1:8000"]`, "workers": `"auto"`, "worker_class": `"inherit"`, "proxy.to": `"port"`, "proxy.ready_path": `""`, "proxy.connect_timeout": `"5s"`, "worker_connections": "1000", "surge": "1", "start_parallel": "0", "preload": "false",
		"timeout": `"120s"`, "stream_timeout": `"timeout"`, "upgrade_timeout": `"0s"`, "request_timeout": `"0s"`, "watchdog": `"0s"`, "backlog_timeout": `"0s"`,
		"graceful_timeout": `"30s"`, "drain_timeout": `"auto"`, "startup_timeout": `"60s"`, "keepalive": `"5s"`, "ready": `"auto"`,
		"max_requests": "0", "max_failures": "0", "workers_max": "0", "target_in_flight": "0", "idle_timeout": `"5m"`, "spares": "0", "max_requests_jitter": "0", "stop_signal": `"SIGTERM"`, "abort_signal": `"SIGABRT"`, "backlog": "2048",
		"max_worker_lifetime": `"0s"`, "max_worker_lifetime_jitter": `"0s"`, "max_worker_memory": "0", "max_worker_memory_hard": "0", "worker_memory": "0",
		"limits.nofile": "0", "limits.core": "-1", "limits.as": "0", "limits.nice": "0", "limits.oom_score_adj": "0", "limits.no_new_privs": `"auto"`, "limits.outlive": "false",
		"chdir": `""`, "user": `""`, "group": `""`, "umask": `""`, "pidfile": `""`, "env_file": `""`, "env_pass": `["*"]`, "env": "{}", "resources": "{}", "bind_slot": "[]",
		"restart.backoff_min": `"100ms"`, "restart.backoff_max": `"30s"`, "restart.reset_after": `"10s"`, "restart.startup_attempts": "3",
		"log.level": `"info"`, "log.format": `"auto"`, "log.file": `"-"`,
		"log.access_file": `""`, "log.access_format": `"combined"`, "log.workers": `"raw"`, "control.socket": `"auto"`, "shutdown.delay": `"0s"`,
		"admin.bind": `""`, "admin.actions": "false", "incidents.dir": `""`, "incidents.keep": "64", "tls.cert": `""`, "tls.key": `""`,
		"reload": "false", "watch.paths": `["."]`, "watch.build": "[]",
	}
	for _, k := range Keys() {
		if k.Default != want[k.Name] {
			t.Errorf("%s is %s by default, not %s", k.Name, k.Default, want[k.Name])
		}
	}
}
