package manifests

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
)

// The files for Compose are some, and give a stop the time it takes.
func TestCompose(t *testing.T) {
	for _, folder := range []string{"/docker", "/fastapi"} {
		t.Run(folder, func(t *testing.T) {
			options, err := cli.NewProjectOptions([]string{examples + folder + "/compose.yaml"}, cli.WithName("agent"))
			if err != nil {
				t.Fatal(err)
			}
			project, err := options.LoadProject(t.Context()) // by the schema
			if err != nil {
				t.Fatal(err)
			}
			service, err := project.GetService("agent")
			if err != nil {
				t.Fatal(err)
			}
			takes := stopTime(settings(t, examples+folder+"/supervisor.toml"))
			if service.StopGracePeriod == nil || time.Duration(*service.StopGracePeriod) < takes {
				t.Errorf("stop_grace_period is %v, a stop takes %v", service.StopGracePeriod, takes)
			}
			if !service.ReadOnly || len(service.CapDrop) != 1 || service.CapDrop[0] != "ALL" || service.Init != nil {
				t.Errorf("read_only %v, cap_drop %v, init %v", service.ReadOnly, service.CapDrop, service.Init)
			}
		})
	}
}

// systemd waits for a stop as long as it takes.
func TestSystemd(t *testing.T) {
	unit, err := os.ReadFile(examples + "/systemd/gosuper.service")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindSubmatch(unit)
	if found == nil {
		t.Fatal("the unit has no TimeoutStopSec in seconds")
	}
	seconds, err := strconv.Atoi(string(found[1]))
	if takes := stopTime(settings(t, examples+"/systemd/supervisor.toml")); err != nil || time.Duration(seconds)*time.Second < takes {
		t.Errorf("TimeoutStopSec is %d, a stop takes %v", seconds, takes)
	}
}
