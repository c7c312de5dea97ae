package config

import (
	"slices"
	"testing"
	"time"
)

func TestAutomaticTimeouts(t *testing.T) {
	tests := []struct {
		timeout, graceful string
		stream, drain     time.Duration
	}{
		{"120s", "30s", 2 * time.Minute, 2 * time.Minute},
		{"10s", "30s", 10 * time.Second, 30 * time.Second},
		{"10s", "0s", 10 * time.Second, 10 * time.Second},
		{"1h", "10m", time.Hour, time.Hour},
		{"0s", "30s", 0, 2 * time.Minute},
		{"0s", "5m", 0, 5 * time.Minute},
	}
	for _, test := range tests {
		c, warnings := mustLoad(t, Source{Command: []string{"a"}, Flags: map[string][]string{
			"timeout": {test.timeout}, "graceful_timeout": {test.graceful},
		}})
		want := []AutoDuration{{test.stream, true}, {test.drain, true}}
		if got := []AutoDuration{c.StreamTimeout, c.DrainTimeout}; !slices.Equal(got, want) || len(warnings) > 0 {
			t.Errorf("timeout %s and graceful_timeout %s give %+v, warnings %q", test.timeout, test.graceful, got, warnings)
		}
	}
}

// Where a developer waits, replaced workers get a moment, or what was asked for.
func TestDrainWithReload(t *testing.T) {
	for asked, want := range map[string]time.Duration{"auto": time.Second, "40s": 40 * time.Second} {
		c, _ := mustLoad(t, Source{Command: []string{"a"}, Flags: map[string][]string{"reload": {"true"}, "drain_timeout": {asked}}})
		if c.DrainTimeout.Duration != want {
			t.Errorf("drain_timeout %s is %v, want %v", asked, c.DrainTimeout.Duration, want)
		}
	}
}

func TestTimeoutsThatContradict(t *testing.T) {
	tests := []struct {
		name, file string
		want       []string
	}{
		{"drain", "timeout = 300\ndrain_timeout = 60", []string{"drain_timeout (60s) is below timeout (5m): a reload cuts requests that timeout would let finish"}},
		{"no drain", "timeout = 300\ndrain_timeout = 0", []string{"drain_timeout (0s) is below timeout (5m): a reload cuts requests that timeout would let finish"}},
		{"long drain", "timeout = 60\ndrain_timeout = 60", nil},
		{"automatic drain", "timeout = 300\ndrain_timeout = \"auto\"", nil},
		{"no timeout", "timeout = 0\ndrain_timeout = 60", nil},
		{"default timeout", "drain_timeout = 60", nil},
		{"request", "timeout = 300\nstream_timeout = 301\nupgrade_timeout = 302\nrequest_timeout = 299", []string{
			"timeout (5m) has no effect: request_timeout (4m59s) ends every request before",
			"stream_timeout (5m1s) has no effect: request_timeout (4m59s) ends every request before",
			"upgrade_timeout (5m2s) has no effect: request_timeout (4m59s) ends every request before",
		}},
		{"same request", "timeout = 30\nstream_timeout = \"timeout\"\nrequest_timeout = 30", nil},
		{"request below defaults", "request_timeout = 10", nil},
		{"no request", "timeout = 300\nrequest_timeout = 0", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, warnings := mustLoad(t, Source{Command: []string{"a"}, File: write(t, "s.toml", test.file)})
			if !slices.Equal(warnings, test.want) {
				t.Errorf("got %q", warnings)
			}
		})
	}
}
