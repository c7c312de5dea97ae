//go:build linux

package control

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fake is a master that answers what it is told to.
type fake struct {
	reload Reload
	health Health
	err    error
	ended  chan struct{}
	asked  string // the last that was asked of it
}

func (f *fake) Status(_ context.Context, withRequests bool) (Status, error) {
	st := Status{
		Name: "agents", PID: 1, Version: "v1", State: Running, Condition: FleetCrashLoop, CrashLoop: &CrashLoop{Slots: []int{0}, Crashes: 2, LastLines: []string{}}, Generation: 1, UptimeSeconds: 1.5, WorkersTarget: 1, Binds: []string{"tcp://127.0.0.1:8000"},
		Loaders: []Loader{{PID: new(5), Generation: 1, State: "ready", MemoryKind: PSS}, {Generation: 2, State: "starting", MemoryKind: RSS}},
		Failing: []Failing{{Slot: 1, Boots: 3, Error: "worker 9: exit status 1"}},
		Leases:  []Lease{{Values: map[string]string{"gpu": "0"}, Worker: new(1)}, {Values: map[string]string{"gpu": "1"}}},
		Workers: []Worker{{ID: 1, PID: new(2), Generation: 1, State: "ready", MemoryKind: RSS, Status: "fine", Recycle: "stale_model", Lease: map[string]string{"gpu": "0"}}, {ID: 2, Slot: 1, Cooperating: true, Generation: 1, State: "ready", Requests: new(uint64(3)), InFlight: new(uint64), MemoryKind: PSS, Lease: map[string]string{}}}, Counters: Counters{Restarts: map[Reason]uint64{}, RecycleReasons: map[string]uint64{"stale_model": 1}, LoaderRestarts: map[Reason]uint64{}}, LastReload: Reload{Result: None},
	}
	for _, r := range Reasons() {
		st.Counters.Restarts[r] = 0
	}
	for _, r := range LoaderReasons() {
		st.Counters.LoaderRestarts[r] = 0
	}
	st.LoaderFailing = &LoaderFailing{Failures: 1, LastLines: []string{}}
	if withRequests {
		st.Requests = []Request{{Worker: 1, Method: "GET", Path: "/", RequestID: "7"}, {Worker: 1}}
	}
	return st, f.err
}

func (f *fake) History(context.Context) (History, error) {
	return History{15, []Point{{AgoSeconds: 3, InFlight: new(uint64(2)), RequestsPerSecond: new(1.5), P50Seconds: new(.1), P90Seconds: new(.2), P99Seconds: new(.3), MemoryBytes: new(uint64(7))}, {}}}, f.err
}

func (f *fake) Incidents(context.Context) (Incidents, error) {
	return Incidents{[]Incident{
		{Process: WorkerProcess, Worker: 3, Reason: "crash", MemoryKind: PSS, Requests: []HeldRequest{{Method: "GET", Sent: "begun"}}, LastLines: []string{"no model"}, Stacks: []string{}},
		{Process: LoaderProcess, Reason: "startup", MemoryKind: RSS, LastLines: []string{}, Stacks: []string{"main.main()"}},
	}}, f.err
}

func (f *fake) Health(context.Context) (Health, error) { return f.health, f.err }

func (f *fake) Ended() <-chan struct{} { return f.ended }

func (f *fake) Reload(_ context.Context, wait bool) (Reload, error) {
	f.asked = "reload"
	if wait {
		f.asked = "reload and wait"
	}
	return f.reload, f.err
}

func (f *fake) Scale(_ context.Context, by Scaling) (Scaled, error) {
	if by.By != nil {
		return Scaled{2, 2 + *by.By}, f.err
	}
	return Scaled{2, *by.Workers}, f.err
}

func (f *fake) Recycle(_ context.Context, which Recycling) (Recycled, error) {
	if which.All {
		return Recycled{[]int{1, 2}}, f.err
	}
	return Recycled{which.Workers}, f.err
}

func (f *fake) Stop(_ context.Context, quick bool) error {
	f.asked = "stop"
	if quick {
		f.asked = "stop quickly"
	}
	return f.err
}

func (f *fake) Upgrade(context.Context) (Upgrade, error) {
	return Upgrade{Result: Underway, From: "v1"}, f.err
}

func (f *fake) Upgraded(context.Context) (Upgrade, error) {
	return Upgrade{Result: OK, From: "v1", To: "v2"}, f.err
}

// call is a request, the master it meets and what comes of it.
type call struct {
	fake
	method, target, body string
	status               int
	want                 string // somewhere in the answer
}

func (c call) master() *fake {
	f := c.fake
	f.ended = make(chan struct{})
	close(f.ended)
	return &f
}

var (
	well     = fake{health: Health{Healthy: true, Ready: true, State: Running, Condition: FleetReady, ReadyWorkers: 1, WorkersTarget: 1}}
	unready  = fake{health: Health{Healthy: true, State: Starting, Condition: FleetStarting, WorkersTarget: 1}}
	gone     = fake{err: errors.New("the master has ended")}
	hung     = fake{err: context.DeadlineExceeded}
	stopping = fake{err: &Error{Status: http.StatusConflict, Message: "the master is stopping"}}
	unknown  = fake{err: &Error{Status: http.StatusNotFound, Message: "there is no worker 7", Hint: "look again"}}
)

var calls = []call{
	{fake{}, "POST", "/v1/upgrade", "", 202, `"result":"running"`},
	{stopping, "POST", "/v1/upgrade", "", 409, `"error":"the master is stopping"`},
	{fake{}, "GET", "/v1/upgrade", "", 200, `"to":"v2"`},
	{gone, "POST", "/v1/upgrade", "", 503, `"error":"the master has ended"`},
	{gone, "GET", "/v1/upgrade", "", 503, `"error":"the master has ended"`},

	{fake{}, "GET", "/v1/status", "", 200, `"state":"running"`},
	{fake{}, "GET", "/v1/status?requests=1", "", 200, `"requests":[{"worker":1,"method":"GET"`},
	{fake{}, "GET", "/v1/status?requests=yes", "", 400, `"error":"requests must be 1 or 0, not \"yes\""`},
	{gone, "GET", "/v1/status", "", 503, `"error":"the master has ended"`},
	{hung, "GET", "/v1/status", "", 503, `"error":"the master does not answer in time"`},

	{fake{}, "GET", "/v1/incidents", "", 200, `"reason":"crash"`},
	{fake{}, "GET", "/v1/incidents?worker=3", "", 200, `{"incidents":[{"process":"worker","worker":3`},
	{fake{}, "GET", "/v1/incidents?worker=0", "", 200, `{"incidents":[{"process":"loader"`},
	{fake{}, "GET", "/v1/incidents?worker=4", "", 200, `{"incidents":[]}`},
	{fake{}, "GET", "/v1/incidents?worker=x", "", 400, `"error":"worker must be the id of one, or 0 for loaders, not \"x\""`},
	{gone, "GET", "/v1/incidents", "", 503, `"error":"the master has ended"`},

	{fake{}, "GET", "/v1/history", "", 200, `{"step_seconds":15,"points":[{"ago_seconds":3,"workers":null,"in_flight":2`},
	{gone, "GET", "/v1/history", "", 503, `"error":"the master has ended"`},

	{well, "GET", "/v1/health", "", 200, `"healthy":true`},
	{well, "GET", "/v1/health?ready=1", "", 200, `"ready":true`},
	{unready, "GET", "/v1/health", "", 200, `"ready":false`},
	{unready, "GET", "/v1/health?ready=1", "", 503, `"state":"starting"`},
	{unready, "GET", "/v1/health?ready=0", "", 200, `"ready":false`},
	{gone, "GET", "/v1/health", "", 503, `the master has ended`},
	{well, "GET", "/v1/health?ready=maybe", "", 400, `ready must be`},

	{fake{reload: Reload{Result: Underway}}, "POST", "/v1/reload", "", 202, `"result":"running"`},
	{fake{reload: Reload{Result: OK}}, "POST", "/v1/reload?wait=1", "", 200, `"result":"ok"`},
	{fake{reload: Reload{Result: RolledBack, Error: "no"}}, "POST", "/v1/reload?wait=1", "{}", 409, `"error":"no"`},
	{fake{}, "POST", "/v1/reload?wait=2", "", 400, `wait must be`},
	{gone, "POST", "/v1/reload", "", 503, `the master has ended`},

	{fake{}, "POST", "/v1/scale", `{"workers":5}`, 200, `{"from":2,"to":5}`},
	{fake{}, "POST", "/v1/scale", `{"by":-1}`, 200, `{"from":2,"to":1}`},
	{fake{}, "POST", "/v1/scale", `{"by":0}`, 200, `{"from":2,"to":2}`},
	{fake{}, "POST", "/v1/scale", `{"workers":5,"by":1}`, 400, `either workers or by`},
	{fake{}, "POST", "/v1/scale", `{}`, 400, `either workers or by`},
	{fake{}, "POST", "/v1/scale", ``, 400, `the body must be a JSON object`},
	{fake{}, "POST", "/v1/scale", `{"worker":5}`, 400, `unknown field`},
	{fake{}, "POST", "/v1/scale", `{"by":1} {}`, 400, `one JSON object`},
	{fake{}, "POST", "/v1/scale", `{"by":1.5}`, 400, `the body must be a JSON object`},
	{fake{}, "POST", "/v1/scale", `{"by":1` + strings.Repeat(" ", maxBody) + `}`, 400, `cannot read the body`},
	{stopping, "POST", "/v1/scale", `{"by":1}`, 409, `the master is stopping`},
	{gone, "POST", "/v1/scale", `{"by":1}`, 503, `the master has ended`},

	{fake{}, "POST", "/v1/recycle", `{"workers":[1,7]}`, 200, `{"workers":[1,7]}`},
	{fake{}, "POST", "/v1/recycle", `{"all":true}`, 200, `{"workers":[1,2]}`},
	{fake{}, "POST", "/v1/recycle", `{"all":true,"workers":[1]}`, 400, `either workers or all`},
	{fake{}, "POST", "/v1/recycle", `{"workers":[]}`, 400, `either workers or all`},
	{unknown, "POST", "/v1/recycle", `{"workers":[7]}`, 404, `"hint":"look again"`},
	{stopping, "POST", "/v1/recycle", `{"all":true}`, 409, `the master is stopping`},
	{gone, "POST", "/v1/recycle", `{"all":true}`, 503, `the master has ended`},

	{fake{}, "POST", "/v1/stop", ``, 202, `{"ended":false}`},
	{fake{}, "POST", "/v1/stop?quick=1&wait=1", ``, 200, `{"ended":true}`},
	{fake{}, "POST", "/v1/stop?quick=", ``, 400, `quick must be`},
	{gone, "POST", "/v1/stop", ``, 503, `the master has ended`},

	{fake{}, "GET", "/v1/openapi.json", "", 200, `"openapi": "3.1.0"`},
}

func TestHandler(t *testing.T) {
	for _, c := range calls {
		recorder := httptest.NewRecorder()
		NewHandler(c.master()).ServeHTTP(recorder, httptest.NewRequest(c.method, c.target, strings.NewReader(c.body)))
		if recorder.Code != c.status || !strings.Contains(recorder.Body.String(), c.want) || recorder.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %.40s: %d %s, want %d and %s", c.method, c.target, c.body, recorder.Code, recorder.Body, c.status, c.want)
		}
	}
}

func TestHandlerAsksForWhatWasMeant(t *testing.T) {
	for target, want := range map[string]string{
		"/v1/reload": "reload", "/v1/reload?wait=1": "reload and wait", "/v1/stop": "stop", "/v1/stop?quick=1": "stop quickly", "/v1/stop?quick=0": "stop",
	} {
		var f fake
		NewHandler(&f).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", target, nil))
		if f.asked != want {
			t.Errorf("%s asks for %q, want %q", target, f.asked, want)
		}
	}
	for _, c := range []struct {
		method, target string
		status         int
	}{{"GET", "/v1/reload", 405}, {"POST", "/v1/status", 405}, {"GET", "/", 404}} {
		var f fake
		recorder := httptest.NewRecorder()
		NewHandler(&f).ServeHTTP(recorder, httptest.NewRequest(c.method, c.target, nil))
		if recorder.Code != c.status || f.asked != "" {
			t.Errorf("%s %s: %d, asked for %q", c.method, c.target, recorder.Code, f.asked)
		}
	}
}
