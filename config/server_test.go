package config

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// What gosuper has made of PORT and WEB_CONCURRENCY its workers are not told again.
func TestPlatformVariablesAreUsedOnce(t *testing.T) {
	platform := []string{"PORT=8080", "WEB_CONCURRENCY=2", "OTHER=kept"}
	for _, test := range []struct {
		name  string
		flags map[string][]string
		want  []string
	}{
		{"both used", nil, []string{"OTHER=kept"}},
		{"bind given", map[string][]string{"bind": {"127.0.0.1:1"}}, []string{"OTHER=kept", "PORT=8080"}},
		{"workers given", map[string][]string{"workers": {"3"}}, []string{"OTHER=kept", "WEB_CONCURRENCY=2"}},
		{"given to workers again", map[string][]string{"env": {"PORT=1", "WEB_CONCURRENCY=1"}}, []string{"OTHER=kept", "PORT=1", "WEB_CONCURRENCY=1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := mustLoad(t, Source{Command: []string{"a"}, Environ: platform, Flags: test.flags})
			if got := c.Environ(platform, nil, Worker{ID: 1}); !slices.Equal(got, test.want) {
				t.Errorf("workers get %q, want %q", got, test.want)
			}
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			var next Config
			if err := json.Unmarshal(text, &next); err != nil {
				t.Fatal(err)
			}
			if got := next.Environ(platform, nil, Worker{ID: 1}); !slices.Equal(got, test.want) {
				t.Errorf("after an upgrade workers get %q, want %q", got, test.want)
			}
		})
	}
}

// A command that cannot serve what gosuper has bound, or that multiplies workers,
// is warned about with what to write.
func TestServerCommands(t *testing.T) {
	const many, fd, bind, twice, watch = "workers of its own", "add --fd 3", "add -b fd://3", "takes them twice", "say gosuper --reload"
	for _, test := range []struct {
		command string
		environ []string
		flags   map[string][]string
		want    []string
	}{
		{"uvicorn app:app --fd 3", nil, nil, nil},
		{"uvicorn app:app --fd=3 --workers 1", nil, nil, nil},
		{"uvicorn app:app", nil, nil, []string{fd}},
		{"uvicorn app:app", []string{"UVICORN_FD=3"}, nil, nil},
		{"/venv/bin/python -m uvicorn app:app --workers=4", nil, nil, []string{many, fd}},
		{"uvicorn app:app --fd 3", []string{"WEB_CONCURRENCY=2"}, nil, nil},
		{"uvicorn app:app --fd 3", []string{"WEB_CONCURRENCY=2"}, map[string][]string{"workers": {"3"}}, []string{many}},
		{"uvicorn app:app --fd 3", nil, map[string][]string{"env": {"WEB_CONCURRENCY=2"}}, []string{many}},
		{"uvicorn app:app --fd 3 --reload", nil, nil, []string{watch}},
		{"gunicorn app:app", nil, nil, nil},
		{"gunicorn -w4 app:app", nil, nil, []string{many}},
		{"gunicorn -b fd://3 app:app", nil, nil, []string{twice}},
		{"hypercorn app:app", nil, nil, []string{bind}},
		{"hypercorn --bind fd://3 -w 2 app:app", nil, nil, []string{many}},
		{"node app.js", []string{"WEB_CONCURRENCY=2"}, map[string][]string{"workers": {"3"}}, nil},
	} {
		_, warnings := mustLoad(t, Source{Command: strings.Fields(test.command), Environ: test.environ, Flags: test.flags})
		ok := len(warnings) == len(test.want)
		for i, want := range test.want {
			ok = ok && strings.Contains(warnings[i], want)
		}
		if !ok {
			t.Errorf("%s %q %q: %q, want %q", test.command, test.environ, test.flags, warnings, test.want)
		}
	}
}
