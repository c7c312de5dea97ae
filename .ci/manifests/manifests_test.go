// Package manifests tests what the examples say to Kubernetes and to Compose
// against the types and rules of those. It is a module of its own, so that
// gosuper needs none of that.
package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	disruption "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	decoder "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/gosuper/gosuper/config"
)

const examples = "../../examples"

// slack is what a graceful stop takes at most beside its delay and
// graceful_timeout.
const slack = 3 * time.Second

// folders are those with manifests of a deployment, beside each other.
var folders = []string{"kubernetes", "fastapi/kubernetes"}

// manifests are all objects of a folder. There is one of each.
type manifests struct {
	config     core.ConfigMap
	deployment apps.Deployment
	service    core.Service
	budget     disruption.PodDisruptionBudget
	autoscaler autoscaling.HorizontalPodAutoscaler
	monitor    monitoring.PodMonitor
}

// each runs a test for the manifests of each folder.
func each(t *testing.T, test func(t *testing.T, m *manifests)) {
	for _, folder := range folders {
		t.Run(folder, func(t *testing.T) { test(t, load(t, folder)) })
	}
}

// load reads the files, and takes nothing that the types do not know.
func load(t *testing.T, folder string) *manifests {
	t.Helper()
	m := new(manifests)
	missing := map[string]any{
		"v1 ConfigMap": &m.config, "apps/v1 Deployment": &m.deployment, "v1 Service": &m.service,
		"policy/v1 PodDisruptionBudget": &m.budget, "autoscaling/v2 HorizontalPodAutoscaler": &m.autoscaler,
		"monitoring.coreos.com/v1 PodMonitor": &m.monitor,
	}
	files, err := filepath.Glob(filepath.Join(examples, folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for documents := decoder.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			var kind meta.TypeMeta
			if err := yaml.Unmarshal(document, &kind); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			name := kind.APIVersion + " " + kind.Kind
			into, ok := missing[name]
			if !ok {
				t.Fatalf("%s: one %s too many", file, name)
			}
			delete(missing, name)
			if err := yaml.UnmarshalStrict(document, into, yaml.DisallowUnknownFields); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if len(missing) > 0 {
		t.Fatalf("missing: %v", slices.Sorted(maps.Keys(missing)))
	}
	return m
}

// settings reads a configuration as gosuper does, which must have nothing to say
// about it.
func settings(t *testing.T, file string) *config.Config {
	t.Helper()
	file, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	c, warnings, err := config.Load(config.Source{File: file, Dir: t.TempDir()})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%s: %v %q", file, err, warnings)
	}
	return c
}

// stopTime is how long a graceful stop takes at most.
func stopTime(c *config.Config) time.Duration { return c.Shutdown.Delay + c.GracefulTimeout + slack }

func (m *manifests) settings(t *testing.T) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "supervisor.toml")
	if err := os.WriteFile(file, []byte(m.config.Data["supervisor.toml"]), 0o644); err != nil {
		t.Fatal(err)
	}
	return settings(t, file)
}

// The objects mean each other.
func TestReferences(t *testing.T) { each(t, references) }

func references(t *testing.T, m *manifests) {
	pod := m.deployment.Spec.Template
	own := labels.Set(pod.Labels)
	for name, selector := range map[string]*meta.LabelSelector{
		"Deployment": m.deployment.Spec.Selector, "PodDisruptionBudget": m.budget.Spec.Selector,
		"PodMonitor": &m.monitor.Spec.Selector, "Service": {MatchLabels: m.service.Spec.Selector},
	} {
		if s, err := meta.LabelSelectorAsSelector(selector); err != nil || s.Empty() || !s.Matches(own) {
			t.Errorf("the %s does not select the pods: %v", name, err)
		}
	}
	if ref := m.autoscaler.Spec.ScaleTargetRef; ref.Name != m.deployment.Name || ref.Kind != m.deployment.Kind || ref.APIVersion != m.deployment.APIVersion {
		t.Errorf("the autoscaler scales %v", ref)
	}
	if m.deployment.Spec.Replicas != nil {
		t.Error("the Deployment says how many replicas there are, and so every apply undoes what the autoscaler did")
	}
	if *m.autoscaler.Spec.MinReplicas <= int32(m.budget.Spec.MaxUnavailable.IntValue()) {
		t.Error("a drain may take all pods")
	}

	ports := map[string]int32{}
	container := pod.Spec.Containers[0]
	for _, port := range container.Ports {
		ports[port.Name] = port.ContainerPort
	}
	c := m.settings(t)
	if want := map[string]int32{"http": 8000, "admin": 9090}; !maps.Equal(ports, want) || !slices.Equal(c.Bind, []string{":8000"}) || c.Admin.Bind != ":9090" {
		t.Errorf("ports %v, want %v; bind %v and %s", ports, want, c.Bind, c.Admin.Bind)
	}
	if port := m.service.Spec.Ports[0].TargetPort.StrVal; port != "http" {
		t.Errorf("the Service sends to %q", port)
	}
	if endpoint := m.monitor.Spec.PodMetricsEndpoints[0]; *endpoint.Port != "admin" || endpoint.Path != "/metrics" {
		t.Errorf("Prometheus scrapes %s%s", *endpoint.Port, endpoint.Path)
	}
	for name, probe := range map[string]*core.Probe{"/health/ready": container.ReadinessProbe, "/health": container.LivenessProbe} {
		if probe.HTTPGet.Path != name || probe.HTTPGet.Port.StrVal != "admin" {
			t.Errorf("a probe asks %v for %s, want %s", probe.HTTPGet.Port, probe.HTTPGet.Path, name)
		}
	}
	if volume := pod.Spec.Volumes[0]; volume.ConfigMap.Name != m.config.Name || volume.Name != container.VolumeMounts[0].Name || container.VolumeMounts[0].MountPath != "/etc/gosuper" {
		t.Error("the ConfigMap is not where the image looks for its configuration")
	}
}

// The time that each gives to the other is enough.
func TestBudgets(t *testing.T) { each(t, budgets) }

func budgets(t *testing.T, m *manifests) {
	pod := m.deployment.Spec.Template.Spec
	c := m.settings(t)
	if has := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; has < stopTime(c) {
		t.Errorf("terminationGracePeriodSeconds is %v, a stop takes %v", has, stopTime(c))
	}
	startup := pod.Containers[0].StartupProbe
	has := time.Duration(startup.PeriodSeconds*startup.FailureThreshold) * time.Second
	if takes := c.StartupTimeout * time.Duration(c.Restart.StartupAttempts); has <= takes {
		t.Errorf("the startup probe gives up after %v, gosuper after %v", has, takes)
	}
	readiness := pod.Containers[0].ReadinessProbe
	if takes := time.Duration(readiness.PeriodSeconds*readiness.FailureThreshold) * time.Second; c.Shutdown.Delay < takes {
		t.Errorf("readiness takes %v to fail, the delay is %v", takes, c.Shutdown.Delay)
	}
	defaults, _, err := config.Load(config.Source{Command: []string{"true"}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if takes := stopTime(defaults); takes > 40*time.Second {
		t.Errorf("by the defaults a stop takes %v, which does not fit into 40s", takes)
	}
}

// The pods are admitted where the Pod Security Standard "restricted" is enforced,
// and cannot write to their root.
func TestRestricted(t *testing.T) { each(t, restricted) }

func restricted(t *testing.T, m *manifests) {
	pod := m.deployment.Spec.Template
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	for _, c := range pod.Spec.Containers {
		if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s may write to its root", c.Name)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Limits.Cpu().IsZero() {
			t.Errorf("%s has no limits", c.Name)
		}
	}
}

// The autoscaler goes by a metric that gosuper has.
func TestMetric(t *testing.T) { each(t, metric) }

func metric(t *testing.T, m *manifests) {
	metric := m.autoscaler.Spec.Metrics[0].Pods.Metric.Name
	sources, err := filepath.Glob("../../supervisor/admin/*.go")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(sources, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Contains(text, []byte(`"`+metric+`"`))
	}) {
		t.Errorf("no metric of gosuper's is called %s", metric)
	}
}
