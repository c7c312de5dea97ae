//go:build linux

package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gosuper/gosuper/config"
)

func TestUnitOf(t *testing.T) {
	for _, tc := range []struct {
		name, cgroups string
		want          unit
	}{
		{"none", "0::/\n", unit{}},
		{"a service", "0::/system.slice/agent.service\n", unit{name: "agent.service"}},
		{"below a service", "0::/system.slice/agent.service/payload\n", unit{name: "agent.service"}},
		{"an instance", "0::/system.slice/system-agent.slice/agent@1.service\n", unit{name: "agent@1.service"}},
		{"of a user", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/agent.service\n", unit{name: "agent.service", user: true}},
		{"a shell", "0::/user.slice/user-1000.slice/session-3.scope\n", unit{}},
		{"a user's own scope", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n", unit{}},
		{"cgroup v1", "9:memory:/other.service\n1:name=systemd:/system.slice/agent.service\n", unit{name: "agent.service"}},
		{"broken", "0:\n:::\n\n", unit{}},
	} {
		if got := unitOf(tc.cgroups); got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestSystemdSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1min 30s": 90 * time.Second, "40s": 40 * time.Second, "500ms": 500 * time.Millisecond, "1.500000s": 1500 * time.Millisecond,
		"1h": time.Hour, "infinity": math.MaxInt64, "": 0, "soon": 0, "5 s": 0,
	} {
		if got := systemdSpan(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestBudget(t *testing.T) {
	agent := unit{name: "agent.service"}
	kubernetes := []string{"A=b", "KUBERNETES_SERVICE_HOST=10.0.0.1"}
	for _, tc := range []struct {
		name            string
		delay, graceful time.Duration
		environ         []string
		unit            unit
		timeout         time.Duration
		want            []string
	}{
		{"nothing to be seen", time.Hour, time.Hour, nil, unit{}, 0, nil},
		{"enough", 0, 30 * time.Second, nil, agent, 40 * time.Second, nil},
		{"for ever", time.Hour, 0, nil, agent, math.MaxInt64, nil},
		{"the default of systemd", 15 * time.Second, 90 * time.Second, nil, agent, 90 * time.Second, []string{
			"a stop may take 1m48s (shutdown.delay 15s + graceful_timeout 1m30s + 3s), but systemd kills agent.service after 1m30s: set TimeoutStopSec=110",
		}},
		{"the default of Kubernetes", 0, 30 * time.Second, kubernetes, unit{}, 0, []string{
			"a stop may take 33s (shutdown.delay 0s + graceful_timeout 30s + 3s), but Kubernetes kills a pod after 30s unless it says otherwise: " +
				"see that its terminationGracePeriodSeconds is at least 40",
		}},
		{"short in Kubernetes", 5 * time.Second, 20 * time.Second, kubernetes, unit{}, 0, nil},
	} {
		c := config.Default()
		c.Shutdown.Delay, c.GracefulTimeout = tc.delay, tc.graceful
		if got := compareBudget(c, tc.environ, tc.unit, tc.timeout); !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n%q, want\n%q", tc.name, got, tc.want)
		}
	}
}
