//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/admin"
	"github.com/gosuper/gosuper/supervisor/control"
)

// probeTime is how long a probe waits, which is less than those who run probes
// wait for them.
const probeTime = 4 * time.Second

// newHealth is gosuper health.
func (a *app) newHealth() *cobra.Command {
	var t target
	var ready bool
	cmd := &cobra.Command{
		Use:   "health [--ready]",
		Short: "Exit 0 if healthy (ready), else 1",
		Long: "Exit with 0 if the master answers, else with 1: the HEALTHCHECK of a container\n" +
			"that has no curl. With --ready it must also have a ready worker and not be\n" +
			"stopping. Where its control socket cannot be reached, the admin listener of the\n" +
			"configuration is asked, which has to be that of a master in this pid namespace:\n" +
			"a container's health is not that of its neighbour.",
		Args: usageArgs(noArgs),
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		ctx, cancel := context.WithTimeout(context.Background(), probeTime)
		defer cancel()
		text, err := a.probe(ctx, t, ready)
		if err != nil && !as[notReady](err) {
			if at, located := a.locate(t); located == nil && at.Admin != "" {
				text, err = probeAdmin(ctx, at.Admin, ready)
			}
		}
		if err != nil {
			return unhealthy{err}
		}
		return a.say(text)
	}
	t.add(a, cmd)
	cmd.Flags().BoolVar(&ready, "ready", false, "fail also if no worker is ready or the master is stopping")
	return cmd
}

// notReady is the answer of a master that is not as it should be.
type notReady struct{ text string }

func (e notReady) Error() string { return "not ready: " + e.text }

// unhealthy is why a probe failed. Those who run probes know 0 and 1 only, also
// when it is the configuration that is wrong.
type unhealthy struct{ error }

// Unwrap returns the error without its meaning.
func (e unhealthy) Unwrap() error { return e.error }

// probe asks the control socket. A configuration that is being edited, or gone,
// says nothing about the master that runs: then it is the only one of this user.
func (a *app) probe(ctx context.Context, t target, ready bool) (string, error) {
	m, err := a.master(ctx, t)
	if as[*config.Errors](err) {
		if alone, none := only(ctx, control.HomeOf(a.environ)); none == nil {
			m, err = alone, nil
		}
	}
	if err != nil {
		return "", err
	}
	h, err := m.Health(ctx)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s, %d of %d workers ready", h.Condition.Text(), h.ReadyWorkers, h.WorkersTarget)
	if h.Reason != "" {
		text += ": " + oneLine(h.Reason)
	}
	if !h.Healthy || ready && !h.Ready {
		return "", notReady{text}
	}
	return text, nil
}

// probeAdmin asks the admin listener.
func probeAdmin(ctx context.Context, bind string, ready bool) (string, error) {
	network, address := dialable(bind)
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	url := "http://localhost/health"
	if ready {
		url += "/ready"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(req)
	if err != nil {
		return "", failure{
			fmt.Errorf("neither a control socket nor the admin listener %s can be reached", bind),
			"is the master running?",
		}
	}
	defer answer.Body.Close()
	if own := control.PIDNamespace(); answer.Header.Get(admin.NamespaceHeader) != own && own != "" {
		return "", failure{
			fmt.Errorf("the master does not run: what answers at its admin listener %s is somebody else, who shares the network", bind),
			"is it another container of the same pod, or of the host's network?",
		}
	}
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10)) // whose status is what counts
	text := strings.TrimSpace(string(body))
	if answer.StatusCode != http.StatusOK {
		return "", notReady{readable(text)}
	}
	return text, nil
}

// dialable is the way to an address that is listened on.
func dialable(bind string) (network, address string) {
	if path, ok := strings.CutPrefix(bind, "unix:"); ok {
		return "unix", path
	}
	host, port, err := net.SplitHostPort(bind)
	if err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		host = "localhost"
	}
	return "tcp", net.JoinHostPort(host, port)
}
