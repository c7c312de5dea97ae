//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// combined is a line of the access log; its parts are the path, the status and
// why the request ended.
var combined = regexp.MustCompile(`^127\.0\.0\.1 - - \[[^]]+\] "GET (\S+) HTTP/1\.1" (\d+) \d+ "-" "[^"]+" [\d.]+ (?:[\d.]+|-) \d+ "-" (\w+)$`)

// A record is what the access log says about a request.
type record struct {
	Target   string
	Status   int
	Ended    string
	Method   string
	Duration float64
	Worker   int
}

func parseCombined(line string) (r record, err error) {
	parts := combined.FindStringSubmatch(line)
	if parts == nil {
		return r, fmt.Errorf("not a line of the access log: %q", line)
	}
	r.Target, r.Ended = parts[1], parts[3]
	r.Status, err = strconv.Atoi(parts[2])
	return r, err
}

func parseJSON(line string) (r record, err error) {
	if err = json.Unmarshal([]byte(line), &r); err == nil && (r.Method != "GET" || r.Worker == 0) {
		err = fmt.Errorf("not all is said: %q", line)
	}
	return r, err
}

// records reads an access log, in which every line must be whole.
func records(t *testing.T, path string, parse func(string) (record, error)) (all []record) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		r, err := parse(strings.TrimSuffix(line, "\n"))
		if err != nil || !strings.HasSuffix(line, "\n") {
			t.Errorf("%v, line %q", err, line)
		}
		all = append(all, r)
	}
	return all
}

// accessFormats are the ways to write it down.
var accessFormats = []struct {
	name  string
	parse func(string) (record, error)
}{
	{"combined", parseCombined},
	{"json", parseJSON},
}

// Each request has its whole line, also while the file is renamed and opened anew
// again and again, and while workers are replaced.
func TestAccessLogLosesNoLine(t *testing.T) {
	for _, tc := range accessFormats {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "access.log")
			m := up(t, "[log]", fmt.Sprintf("access_file = %q", path), fmt.Sprintf("access_format = %q", tc.name))
			r := m.load(load.Plan{Connections: 4, Mode: load.KeepAlive, Pause: time.Millisecond, Path: "/?q=a%20b"})
			const renamed = 5
			files := []string{path}
			for i := range renamed {
				r.more(tenth(500))
				old := fmt.Sprintf("%s.%d", path, i)
				if err := os.Rename(path, old); err != nil {
					t.Fatal(err)
				}
				files = append(files, old)
				m.signal(syscall.SIGUSR1)
				eventually(t, "the file is opened anew", func() bool {
					_, err := os.Stat(path)
					return err == nil
				})
				if i == renamed/2 {
					m.reload()
				}
			}
			r.more(tenth(500))
			result := r.end()
			none(t, "load", result, 6*tenth(500))
			m.stopped(match{"requests": result.Complete})

			lines := 0
			for _, file := range files {
				all := records(t, file, tc.parse)
				lines += len(all)
				if len(all) == 0 {
					t.Errorf("nothing in %s", file)
				}
				for _, one := range all {
					if one.Target != "/?q=a%20b" || one.Status != 200 || one.Ended != "ok" {
						t.Errorf("%+v", one)
					}
				}
			}
			if lines != result.Complete {
				t.Errorf("%d lines for %d requests", lines, result.Complete)
			}
		})
	}
}

// A request that was ended says why, though its handler goes on.
func TestAccessLogSaysTimeout(t *testing.T) {
	t.Parallel()
	for _, tc := range accessFormats {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "access.log")
			m := up(t, `timeout = "1s"`, "[log]", fmt.Sprintf("access_file = %q", path), fmt.Sprintf("access_format = %q", tc.name))
			if r := once(m.addr(), "/nap?d=30s", nil); r.status != 504 {
				t.Errorf("want 504: %v", r)
			}
			if r := once(m.addr(), "/missing", nil); r.status != 200 { // "/" is the rest of the world
				t.Errorf("want 200: %v", r)
			}
			m.stopped(match{"timeouts": 1})
			found := map[string]record{}
			for _, one := range records(t, path, tc.parse) {
				found[one.Target] = one
			}
			if one := found["/nap?d=30s"]; one.Status != 504 || one.Ended != "timeout" {
				t.Errorf("%+v", one)
			}
			if one := found["/missing"]; one.Status != 200 || one.Ended != "ok" || len(found) != 2 {
				t.Errorf("%+v of %d", one, len(found))
			}
		})
	}
}
