//go:build linux

package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gosuper/gosuper/supervisor/control"
)

// A metric is one family of /metrics, and its line in the reference.
type metric struct {
	name, help string
	label      string // "": none
	values     string // what the label may be, for people
	kind       kind
	reported   bool // by cooperating workers alone
	// One of these. What is not known is not emitted, or nil: the metric is absent.
	numbers   func(Metrics, func(value float64, label ...string))
	histogram func(Metrics) *Histogram
}

// plainLack is the help about what a fleet without cooperating workers lacks.
const plainLack = "Absent while no worker cooperates: plain ones do not report it."

// about is the help with all that there is to say.
func (m metric) about() string {
	if m.reported {
		return m.help + " " + plainLack
	}
	return m.help
}

// kind is the type of a metric.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// How a reload ends.
const (
	Done       = "ok"
	RolledBack = "rolled_back"
	Refused    = "refused"    // the configuration was not even tried
	Superseded = "superseded" // another reload, or a stop, came first
)

var reloadResults = []string{Done, RolledBack, Refused, Superseded}

// workerStates are those of [control.Worker].
var workerStates = []string{"starting", "ready", "spare", "draining", "stopping"}

// metrics is the table of all metrics.
func metrics() []metric {
	var reasons, loaderReasons []string
	for _, r := range control.Reasons() {
		reasons = append(reasons, string(r))
	}
	for _, r := range control.LoaderReasons() {
		loaderReasons = append(loaderReasons, string(r))
	}
	return []metric{
		{
			name: "gosuper_workers", kind: gauge, label: "state", values: strings.Join(workerStates, ", "),
			help: "Living workers by what they are doing.",
			numbers: func(m Metrics, emit func(float64, ...string)) {
				states := map[string]int{}
				for _, w := range m.Status.Workers {
					states[w.State]++
				}
				for _, s := range workerStates {
					emit(float64(states[s]), s)
				}
			},
		},
		{
			name: "gosuper_workers_target", kind: gauge, help: "Workers that are asked for.",
			numbers: func(m Metrics, emit func(float64, ...string)) { emit(float64(m.Status.WorkersTarget)) },
		},
		{
			name: "gosuper_spares_target", kind: gauge, help: "Spares that are asked for.",
			numbers: func(m Metrics, emit func(float64, ...string)) { emit(float64(m.Status.SparesTarget)) },
		},
		{
			name: "gosuper_worker_restarts_total", kind: counter, label: "reason", values: strings.Join(reasons, ", "),
			help: "Workers started after the first ones, by why.",
			numbers: func(m Metrics, emit func(float64, ...string)) {
				for _, r := range control.Reasons() {
					emit(float64(m.Status.Counters.Restarts[r]), string(r))
				}
			},
		},
		{
			name: "gosuper_worker_spawn_seconds", kind: histogram, help: "Time from the start of a worker until it was ready.",
			histogram: func(m Metrics) *Histogram { return m.Spawns },
		},
		{
			name: "gosuper_worker_memory_bytes", kind: gauge, label: "slot", values: "0 to workers-1, spare",
			help: "Memory of the processes of a slot, and of all spares: PSS, or resident less shared without it.",
			numbers: func(m Metrics, emit func(float64, ...string)) {
				slots := map[string]uint64{}
				for _, w := range m.Status.Workers {
					slot := "spare"
					if w.Slot >= 0 {
						slot = fmt.Sprint(w.Slot)
					}
					slots[slot] += w.MemoryBytes
				}
				for slot, bytes := range slots {
					if bytes > 0 {
						emit(float64(bytes), slot)
					}
				}
			},
		},
		{
			name: "gosuper_leases", kind: gauge, label: "state", values: strings.Join(leaseStates, ", "),
			help: "Leases of [resources] by who has them; unkillable: who is still there after SIGKILL.",
			numbers: func(m Metrics, emit func(float64, ...string)) {
				states := map[string]int{}
				for _, l := range m.Status.Leases {
					states[leaseState(l)]++
				}
				for _, s := range leaseStates {
					emit(float64(states[s]), s)
				}
			},
		},
		{
			name: "gosuper_loader_memory_bytes", kind: gauge, label: "generation", values: "of the configuration",
			help: "Memory of the process that the workers of a generation are forked from, as that of the workers.",
			numbers: func(m Metrics, emit func(float64, ...string)) {
				generations := map[int]uint64{}
				for _, l := range m.Status.Loaders {
					generations[l.Generation] += l.MemoryBytes
				}
				for generation, bytes := range generations {
					if bytes > 0 {
						emit(float64(bytes), fmt.Sprint(generation))
					}
				}
			},
		},
		{
			name: "gosuper_incidents_total", kind: counter, label: "reason", values: strings.Join(control.IncidentReasons(), ", "),
			help: "Workers that died, were killed or were replaced for a fault, and loaders that failed. Reasons are also what one that had to be killed was to be replaced for, " +
				"and up to 16 that workers give; more of those are together \"" + control.OtherReason + "\".",
			numbers: func(m Metrics, emit func(float64, ...string)) {
				for _, r := range control.IncidentReasons() {
					emit(float64(m.Incidents[r]), r)
				}
				for r, n := range m.Incidents {
					if !slices.Contains(control.IncidentReasons(), r) {
						emit(float64(n), r)
					}
				}
			},
		},
		{
			name: "gosuper_loader_restarts_total", kind: counter, label: "reason", values: strings.Join(loaderReasons, ", "),
			help: "Loaders (preload) started after the first one, by how the one before ended.",
			numbers: func(m Metrics, emit func(float64, ...string)) {
				for _, r := range control.LoaderReasons() {
					emit(float64(m.Status.Counters.LoaderRestarts[r]), string(r))
				}
			},
		},
		{
			name: "gosuper_reloads_total", kind: counter, label: "result", values: strings.Join(reloadResults, ", "),
			help: "Reloads that are over, by how they ended.",
			numbers: func(m Metrics, emit func(float64, ...string)) {
				for _, r := range reloadResults {
					emit(float64(m.Reloads[r]), r)
				}
			},
		},
		{
			name: "gosuper_requests_total", kind: counter, reported: true, label: "code", values: "1xx, 2xx, 3xx, 4xx, 5xx",
			help: "Requests that cooperating workers finished, by the class of their status.",
			numbers: func(m Metrics, emit func(float64, ...string)) {
				if m.Codes == nil {
					return
				}
				for i, n := range m.Codes {
					emit(float64(n), fmt.Sprintf("%dxx", i+1))
				}
			},
		},
		{
			name: "gosuper_requests_in_flight", kind: gauge, reported: true, help: "Requests that cooperating workers have begun and not finished.",
			numbers: func(m Metrics, emit func(float64, ...string)) { ifKnown(m.Status.InFlight(), emit) },
		},
		{
			name: "gosuper_request_duration_seconds", kind: histogram, reported: true, help: "Duration of the requests that cooperating workers finished.",
			histogram: func(m Metrics) *Histogram { return m.Durations },
		},
		{
			name: "gosuper_request_timeouts_total", kind: counter, reported: true, help: "Requests that were ended because they made no progress or took too long.",
			numbers: func(m Metrics, emit func(float64, ...string)) { ifKnown(m.Status.Counters.Timeouts, emit) },
		},
		{
			name: "gosuper_requests_lost_total", kind: counter, reported: true, help: "Requests that were in flight when their worker ended.",
			numbers: func(m Metrics, emit func(float64, ...string)) { ifKnown(m.Status.Counters.RequestsLost, emit) },
		},
		{
			name: "gosuper_innocents_lost_total", kind: counter, reported: true, help: "Lost requests that a stuck worker took along and that were not to blame for it.",
			numbers: func(m Metrics, emit func(float64, ...string)) { ifKnown(m.Status.Counters.InnocentsLost, emit) },
		},
		{
			name: "gosuper_requests_unslotted_total", kind: counter, reported: true, help: "Requests that found no room on their worker's board, where the master sees no more than 240; those past their deadline it sees.",
			numbers: func(m Metrics, emit func(float64, ...string)) { ifKnown(m.Status.Counters.RequestsUnslotted, emit) },
		},
		{
			name: "gosuper_connections_total", kind: counter, reported: true, help: "Connections that cooperating workers accepted.",
			numbers: func(m Metrics, emit func(float64, ...string)) { ifKnown(m.Status.Counters.Connections, emit) },
		},
		{
			name: "gosuper_access_lines_dropped_total", kind: counter, reported: true, help: "Lines of the access log that are not in it: workers dropped them, since nobody took them fast enough, or the master lost or refused them.",
			numbers: func(m Metrics, emit func(float64, ...string)) { ifKnown(m.Status.Counters.AccessLinesDropped, emit) },
		},
		{
			name: "gosuper_backlog", kind: gauge, help: "Connections that wait to be accepted; a unix socket with any counts as 1.",
			numbers: func(m Metrics, emit func(float64, ...string)) { emit(float64(m.Backlog)) },
		},
		{
			name: "gosuper_build_info", kind: gauge, label: "version", values: "as gosuper version says",
			help:    "1, with the version of the master.",
			numbers: func(m Metrics, emit func(float64, ...string)) { emit(1, m.Status.Version) },
		},
	}
}

// leaseStates are who may have a lease.
var leaseStates = []string{"free", "held", "unkillable"}

func leaseState(l control.Lease) string {
	switch {
	case l.Worker == nil:
		return "free"
	case l.Unkillable:
		return "unkillable"
	}
	return "held"
}

// ifKnown emits a figure that is not nil.
func ifKnown(n *uint64, emit func(float64, ...string)) {
	if n != nil {
		emit(float64(*n))
	}
}

// Reference lists the metrics, for people to read.
func Reference() string {
	var b strings.Builder
	b.WriteString("Metrics at /metrics of the admin listener (admin.bind, --admin):\n")
	for _, m := range metrics() {
		fmt.Fprintf(&b, "\n  %s (%s)\n      %s\n", m.name, m.kind, m.help)
		if m.reported {
			fmt.Fprintf(&b, "      %s\n", plainLack)
		}
		if m.label != "" {
			fmt.Fprintf(&b, "      %s: %s\n", m.label, m.values)
		}
	}
	return b.String()
}

// scrape are the figures of one scrape as Prometheus' library wants them.
type scrape struct {
	metrics []metric
	desc    map[string]*prometheus.Desc
	figures Metrics
}

// newScrape prepares the descriptions, once for all scrapes.
func newScrape() scrape {
	s := scrape{metrics: metrics(), desc: map[string]*prometheus.Desc{}}
	for _, m := range s.metrics {
		var labels []string
		if m.label != "" {
			labels = []string{m.label}
		}
		s.desc[m.name] = prometheus.NewDesc(m.name, m.about(), labels, nil)
	}
	return s
}

// Describe is that of [prometheus.Collector].
func (s scrape) Describe(to chan<- *prometheus.Desc) {
	for _, d := range s.desc {
		to <- d
	}
}

// Collect is that of [prometheus.Collector].
func (s scrape) Collect(to chan<- prometheus.Metric) {
	types := map[kind]prometheus.ValueType{counter: prometheus.CounterValue, gauge: prometheus.GaugeValue}
	for _, m := range s.metrics {
		if m.kind == histogram {
			h := m.histogram(s.figures)
			if h == nil {
				continue
			}
			count, buckets, sum := cumulative(h)
			to <- prometheus.MustNewConstHistogram(s.desc[m.name], count, sum, buckets)
			continue
		}
		m.numbers(s.figures, func(value float64, label ...string) {
			to <- prometheus.MustNewConstMetric(s.desc[m.name], types[m.kind], value, label...)
		})
	}
}

// cumulative adds up the buckets.
func cumulative(h *Histogram) (count uint64, buckets map[float64]uint64, sum float64) {
	buckets = make(map[float64]uint64, len(h.Bounds))
	for i, n := range h.Counts {
		count += n
		if i < len(h.Bounds) {
			buckets[h.Bounds[i]] = count
		}
	}
	return count, buckets, h.Sum
}

// serveMetrics answers a scrape.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := answering(r)
	defer cancel()
	figures, err := s.source.Metrics(ctx)
	if err != nil {
		unavailable(w, err)
		return
	}
	one := s.scrape
	one.figures = figures
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(one)
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
}
