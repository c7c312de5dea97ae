//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gosuper/gosuper/config"
)

// What a stop takes beyond its timeouts, and what those who stop a process from
// outside give it where nobody asked for more.
const (
	stopMargin      = 3 * time.Second  // to kill what is left, and to end
	kubernetesGrace = 30 * time.Second // terminationGracePeriodSeconds
	budgetStep      = 10 * time.Second // to which proposals are rounded up
)

// budget compares how long a stop may take with what it is given from outside,
// as far as that can be seen: a warning for each that is too short.
func budget(c *config.Config, environ []string) []string {
	unit := ownUnit()
	return compareBudget(c, environ, unit, unit.stopTimeout())
}

// compareBudget is budget with what was seen: the unit and its TimeoutStopSec;
// 0: unknown.
func compareBudget(c *config.Config, environ []string, u unit, timeout time.Duration) (warnings []string) {
	need := c.Shutdown.Delay + c.GracefulTimeout + stopMargin
	propose := (need + budgetStep - 1) / budgetStep * budgetStep
	complain := func(whose string, given time.Duration, cure string) {
		if given > 0 && given < need {
			warnings = append(warnings, fmt.Sprintf("a stop may take %v (shutdown.delay %v + graceful_timeout %v + %v), but %s: %s%d",
				need, c.Shutdown.Delay, c.GracefulTimeout, stopMargin, whose, cure, int64(propose/time.Second)))
		}
	}
	complain(fmt.Sprintf("systemd kills %s after %v", u.name, timeout), timeout, "set TimeoutStopSec=")
	for _, v := range environ {
		if strings.HasPrefix(v, "KUBERNETES_SERVICE_HOST=") {
			complain(fmt.Sprintf("Kubernetes kills a pod after %v unless it says otherwise", kubernetesGrace), kubernetesGrace,
				"see that its terminationGracePeriodSeconds is at least ")
			break
		}
	}
	return warnings
}

// unit is the systemd service that this process is in.
type unit struct {
	name string // "": in none
	user bool   // of a user's manager
}

// ownUnit finds the service by the cgroup, which systemd names after it.
func ownUnit() unit {
	text, err := os.ReadFile("/proc/self/cgroup")
	if _, absent := os.Stat("/run/systemd/system"); err != nil || absent != nil {
		return unit{}
	}
	return unitOf(string(text))
}

// unitOf reads proc_pid_cgroup(5). The service is the innermost one, of systemd's
// own hierarchy where there are several.
func unitOf(cgroups string) (u unit) {
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 || fields[1] != "" && fields[1] != "name=systemd" {
			continue
		}
		for at := fields[2]; at != "/" && at != "."; at = path.Dir(at) {
			if name := path.Base(at); strings.HasSuffix(name, ".service") {
				// A session of a user is below user@1000.service, which is not what ends it.
				if strings.HasPrefix(name, "user@") {
					break
				}
				return unit{name: name, user: strings.Contains(path.Dir(at), "/user@")}
			}
		}
	}
	return unit{}
}

// stopTimeout asks systemd how long the unit may take to stop; 0: it cannot be
// known.
func (u unit) stopTimeout() time.Duration {
	if u.name == "" {
		return 0
	}
	args := []string{"show", "--property=TimeoutStopUSec", "--value", "--", u.name}
	if u.user {
		args = append([]string{"--user"}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", args...).Output()
	if err != nil {
		return 0
	}
	return systemdSpan(strings.TrimSpace(string(out)))
}

// systemdSpan reads a time span as systemd prints it: "1min 30s", "infinity". 0:
// not understood.
func systemdSpan(text string) (sum time.Duration) {
	if text == "infinity" {
		return math.MaxInt64
	}
	units := map[string]time.Duration{
		"us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour,
		"d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
		"month": 2629800 * time.Second, "y": 31557600 * time.Second,
	}
	for word := range strings.FieldsSeq(text) {
		name := strings.TrimLeft(word, "0123456789.")
		n, err := strconv.ParseFloat(strings.TrimSuffix(word, name), 64)
		if err != nil || units[name] == 0 {
			return 0
		}
		sum += time.Duration(n * float64(units[name]))
	}
	return sum
}
