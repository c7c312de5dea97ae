//go:build linux

package admin

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/gosuper/gosuper/supervisor/control"
)

// master is a source that says what the test wants.
type master struct {
	control.Master
	health  control.Health
	err     error
	metrics Metrics
	status  control.Status

	incidents []control.Incident
	history   control.History

	serves bool // at each scrape as many requests more as the metrics have

	mu      sync.Mutex // guards what follows
	asks    []string   // what it was asked to do
	scrapes uint64
}

func (m *master) asked(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asks = append(m.asks, fmt.Sprintf(format, args...))
}

// done are the actions since the last call.
func (m *master) done() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	asks := m.asks
	m.asks = nil
	return asks
}

func (m *master) Reload(_ context.Context, wait bool) (control.Reload, error) {
	m.asked("reload %v", wait)
	return control.Reload{Result: control.Underway}, nil
}

func (m *master) Scale(_ context.Context, by control.Scaling) (control.Scaled, error) {
	m.asked("scale %d", *by.By)
	return control.Scaled{}, nil
}

func (m *master) Recycle(_ context.Context, which control.Recycling) (control.Recycled, error) {
	m.asked("recycle %v %v", which.Workers, which.All)
	return control.Recycled{}, nil
}

func (m *master) Incidents(context.Context) (control.Incidents, error) {
	return control.Incidents{Incidents: m.incidents}, m.err
}

func (m *master) History(context.Context) (control.History, error) { return m.history, m.err }

func (m *master) Health(context.Context) (control.Health, error) { return m.health, m.err }

func (m *master) Metrics(context.Context) (Metrics, error) {
	now := m.metrics
	if m.serves {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.scrapes++
		more := *now.Durations
		more.Counts = slices.Clone(more.Counts)
		for i := range more.Counts {
			more.Counts[i] *= m.scrapes
		}
		now.Durations = &more
	}
	return now, m.err
}

func (m *master) Status(_ context.Context, requests bool) (control.Status, error) {
	st := m.status
	if !requests {
		st.Requests = nil
	}
	return st, m.err
}
