//go:build linux

package control

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Observer is what of a master can be seen.
type Observer interface {
	// Status is what runs, with the requests in flight if they are wanted.
	Status(ctx context.Context, withRequests bool) (Status, error)
	// Incidents are the last workers that died or were ended.
	Incidents(ctx context.Context) (Incidents, error)
	// History is the picture of the last hour.
	History(ctx context.Context) (History, error)
	// Health is what a probe wants to know.
	Health(ctx context.Context) (Health, error)
	// Ended is closed when the master has given back all that it held.
	Ended() <-chan struct{}
}

// Operator is what can be done to a master. An error that is an *[Error] says
// what is wrong with the wish.
type Operator interface {
	// Reload returns when the reload has begun or was refused; with wait, when it
	// is over.
	Reload(ctx context.Context, wait bool) (Reload, error)
	Scale(ctx context.Context, by Scaling) (Scaled, error)
	Recycle(ctx context.Context, which Recycling) (Recycled, error)
	Stop(ctx context.Context, quick bool) error
}

// Upgrader is a master that can become another version of itself.
type Upgrader interface {
	// Upgrade returns when the new version is about to take over; an *[Error] says
	// why it is not.
	Upgrade(ctx context.Context) (Upgrade, error)
	// Upgraded is how the last upgrade went.
	Upgraded(ctx context.Context) (Upgrade, error)
}

// Master is what the interface is an interface to.
type Master interface {
	Observer
	Operator
	Upgrader
}

// route is one operation of the interface.
type route struct {
	method, path string
	answer       func(Master, *http.Request) (status int, body any, err error)
}

// routes are all operations. openapi.json describes them, and a test compares.
var routes = []route{
	{"GET", "/v1/status", getStatus},
	{"GET", "/v1/incidents", getIncidents},
	{"GET", "/v1/history", getHistory},
	{"GET", "/v1/health", getHealth},
	{"POST", "/v1/reload", postReload},
	{"POST", "/v1/scale", postScale},
	{"POST", "/v1/recycle", postRecycle},
	{"POST", "/v1/stop", postStop},
	{"POST", "/v1/upgrade", postUpgrade},
	{"GET", "/v1/upgrade", getUpgrade},
	{"GET", "/v1/openapi.json", getDescription},
}

// NewHandler serves the interface of a master, to whoever gets through to it:
// who may is up to the listener.
func NewHandler(m Master) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) {
			status, body, err := r.answer(m, req)
			if err != nil {
				status, body = failure(err)
			}
			reply(w, status, body)
		})
	}
	return limited(mux)
}

// limited bounds the body of a request and the time that it takes. Only once it
// is read to its end does net/http notice that a client has gone.
func limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.SetReadDeadline(time.Now().Add(transferTime)) // not every connection has one
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		control.SetReadDeadline(time.Time{})
		if err != nil {
			reply(w, http.StatusBadRequest, &Error{Message: fmt.Sprintf("cannot read the body: %v", err)})
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// reply writes an answer, for which the client has a limited time.
func reply(w http.ResponseWriter, status int, body any) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(transferTime))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if text, ok := body.([]byte); ok {
		w.Write(text)
		return
	}
	json.NewEncoder(w).Encode(body) // fails only with the connection
}

// failure is the answer to what cannot be done.
func failure(err error) (int, any) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status, e
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return http.StatusServiceUnavailable, &Error{Message: "the master does not answer in time"}
	}
	return http.StatusServiceUnavailable, &Error{Message: err.Error()}
}

func getStatus(m Master, r *http.Request) (int, any, error) {
	requests, err := option(r, "requests")
	if err != nil {
		return 0, nil, err
	}
	st, err := m.Status(r.Context(), requests)
	return http.StatusOK, st, err
}

func getIncidents(m Master, r *http.Request) (int, any, error) {
	worker, only := -1, r.URL.Query().Get("worker")
	if only != "" {
		var err error
		if worker, err = strconv.Atoi(only); err != nil || worker < 0 {
			return 0, nil, bad("worker must be the id of one, or 0 for loaders, not %q", only)
		}
	}
	all, err := m.Incidents(r.Context())
	if only != "" {
		all.Incidents = slices.DeleteFunc(all.Incidents, func(i Incident) bool { return i.Worker != worker })
	}
	return http.StatusOK, all, err
}

func getHistory(m Master, r *http.Request) (int, any, error) {
	all, err := m.History(r.Context())
	return http.StatusOK, all, err
}

// healthTime is how long a loop may take to answer that is well.
const healthTime = 2 * time.Second

func getHealth(m Master, r *http.Request) (int, any, error) {
	ready, err := option(r, "ready")
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), healthTime)
	defer cancel()
	h, err := m.Health(ctx)
	if !h.Healthy || ready && !h.Ready {
		return http.StatusServiceUnavailable, h, err
	}
	return http.StatusOK, h, err
}

func postReload(m Master, r *http.Request) (int, any, error) {
	wait, err := option(r, "wait")
	if err != nil {
		return 0, nil, err
	}
	result, err := m.Reload(r.Context(), wait)
	switch result.Result {
	case Underway:
		return http.StatusAccepted, result, err
	case RolledBack:
		return http.StatusConflict, result, err
	}
	return http.StatusOK, result, err
}

func postScale(m Master, r *http.Request) (int, any, error) {
	var by Scaling
	if err := decode(r, &by); err != nil {
		return 0, nil, err
	}
	if (by.Workers == nil) == (by.By == nil) {
		return 0, nil, bad("either workers or by must be given")
	}
	result, err := m.Scale(r.Context(), by)
	return http.StatusOK, result, err
}

func postRecycle(m Master, r *http.Request) (int, any, error) {
	var which Recycling
	if err := decode(r, &which); err != nil {
		return 0, nil, err
	}
	if which.All == (len(which.Workers) > 0) {
		return 0, nil, bad("either workers or all must be given")
	}
	result, err := m.Recycle(r.Context(), which)
	return http.StatusOK, result, err
}

func postStop(m Master, r *http.Request) (int, any, error) {
	quick, err := option(r, "quick")
	if err != nil {
		return 0, nil, err
	}
	wait, err := option(r, "wait")
	if err != nil {
		return 0, nil, err
	}
	if err := m.Stop(r.Context(), quick); err != nil {
		return 0, nil, err
	}
	if !wait {
		return http.StatusAccepted, Stopped{}, nil
	}
	select {
	case <-m.Ended():
		return http.StatusOK, Stopped{Ended: true}, nil
	case <-r.Context().Done():
		return 0, nil, r.Context().Err()
	}
}

func postUpgrade(m Master, r *http.Request) (int, any, error) {
	u, err := m.Upgrade(r.Context())
	return http.StatusAccepted, u, err
}

func getUpgrade(m Master, r *http.Request) (int, any, error) {
	u, err := m.Upgraded(r.Context())
	return http.StatusOK, u, err
}

// Description is the interface in the words of OpenAPI 3.1, as JSON.
//
//go:embed openapi.json
var Description []byte

func getDescription(Master, *http.Request) (int, any, error) {
	return http.StatusOK, Description, nil
}

// option is a parameter of the query that is given or not.
func option(r *http.Request, name string) (bool, error) {
	values, given := r.URL.Query()[name]
	if !given {
		return false, nil
	}
	on, err := strconv.ParseBool(values[0])
	if err != nil {
		return false, bad("%s must be 1 or 0, not %q", name, values[0])
	}
	return on, nil
}

// decode reads the body of a request, one JSON object with nothing unknown in it.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return bad("the body must be a JSON object: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("the body must be one JSON object")
	}
	return nil
}

func bad(format string, args ...any) error {
	return &Error{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}
