//go:build linux

package admin

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/httpd"
)

// Source is the master as this package sees it. Its methods are called from
// several goroutines and give up with the context; an error means that the
// master does not answer.
type Source interface {
	control.Master
	// Metrics returns what /metrics shows.
	Metrics(context.Context) (Metrics, error)
}

// Metrics are the figures of one scrape. Counters are totals since the master
// started and never go backwards.
type Metrics struct {
	// Status has the workers, what is asked for, and the counters of requests and
	// restarts.
	Status control.Status
	// Codes are the finished requests by class of their status, 1xx to 5xx, and
	// Durations theirs; nil: no worker has reported any, since none cooperates.
	Codes     *[5]uint64
	Durations *Histogram
	// Spawns are the times from the start of a worker until it was ready.
	Spawns *Histogram
	// Reloads are the reloads that are over, by result.
	Reloads map[string]uint64
	// Incidents are how many there were, by reason.
	Incidents map[string]uint64
	// Backlog is how many connections wait to be accepted.
	Backlog int
}

// Histogram counts observations. The zero value has none; nil is that nothing is
// known of them.
type Histogram struct {
	// Bounds are the upper bounds of the buckets, in seconds, ascending.
	Bounds []float64 `json:"bounds"`
	// Counts has one number more than Bounds, those of the observations that are
	// in this bucket and in none before; the last is for what is above all bounds.
	Counts []uint64 `json:"counts"`
	// Sum is that of all observations, in seconds.
	Sum float64 `json:"sum"`
}

// What strangers may take of the master.
const (
	maxConnections = 64               // on each listener
	maxHeader      = 16 << 10         // bytes of a request's header
	headerTimeout  = 5 * time.Second  // for the header of a request, body included
	writeTimeout   = 10 * time.Second // from the end of the header to that of the answer
	idleTimeout    = 30 * time.Second // between the requests of a connection
	answerTimeout  = 2 * time.Second  // for the master's loop to say something
	closeTimeout   = time.Second      // for answers under way when an endpoint closes
)

// Server answers on endpoints. They come and go with the configuration.
type Server struct {
	source Source
	scrape scrape
	policy string // of the page
	log    *log.Logger
}

// New returns a server without endpoints, which tells what the source says and
// logs its own errors.
func New(source Source, log *log.Logger) *Server {
	return &Server{source: source, scrape: newScrape(), policy: policy(page()), log: log}
}

// Endpoint is one listener with its connections.
type Endpoint struct {
	server *Server
	local  bool // only this machine can connect
	rights atomic.Int32
	http   *httpd.Server
}

// Serve answers on the listener, which it takes over, until the endpoint is
// closed.
func (s *Server) Serve(l net.Listener, rights Rights) *Endpoint {
	e := &Endpoint{server: s, local: isLocal(l.Addr())}
	e.Grant(rights)
	e.http = httpd.New(httpd.Options{
		Handler: e.handler(), Connections: maxConnections, HeaderBytes: maxHeader,
		HeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		Log: s.log,
	})
	e.http.Serve(l)
	return e
}

// Close closes the listener at once, and the connections when they have their
// answers, soon after; then the channel it returns is closed.
func (e *Endpoint) Close() (over <-chan struct{}) {
	e.http.Close()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		e.http.Shutdown(ctx)
	}()
	return closed
}

// NamespaceHeader is the header of an answer to a probe that says in which pid
// namespace the master lives, by [control.PIDNamespace]. An address belongs to the
// network namespace, which containers may share: so a command that probes tells
// its own master from a neighbour's.
const NamespaceHeader = "X-Gosuper-Pid-Namespace"

// probed makes an answer one to a probe.
func probed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if namespace := control.PIDNamespace(); namespace != "" {
			w.Header().Set(NamespaceHeader, namespace)
		}
		next(w, r)
	}
}

// serveHealth says whether the master's loop turns.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := answering(r)
	defer cancel()
	if _, err := s.source.Health(ctx); err != nil {
		unavailable(w, err)
		return
	}
	io.WriteString(w, "ok\n")
}

// serveReady says whether requests are welcome.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := answering(r)
	defer cancel()
	health, err := s.source.Health(ctx)
	switch {
	case err != nil:
		unavailable(w, err)
	case health.Ready:
		io.WriteString(w, "ready\n")
	case health.ReadyWorkers == 0 && health.State != control.Stopping:
		why := ""
		if health.Reason != "" {
			why = ": " + health.Reason
		}
		http.Error(w, "no worker is ready"+why, http.StatusServiceUnavailable)
	default:
		http.Error(w, "the master is stopping", http.StatusServiceUnavailable)
	}
}

// answering is how long the master's loop has for an answer.
func answering(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), answerTimeout)
}

// unavailable says that the master does not answer.
func unavailable(w http.ResponseWriter, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("the master does not answer")
	}
	http.Error(w, err.Error(), http.StatusServiceUnavailable)
}
