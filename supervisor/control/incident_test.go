//go:build linux

package control

import "testing"

// An incident in one line says what a person would look for first.
func TestIncidentDetail(t *testing.T) {
	stream, stuck, exit := HeldRequest{Method: "GET", Path: "/stream", Sent: "begun"}, HeldRequest{Method: "GET", Path: "/stuck", Sent: "ended"}, HeldRequest{Method: "POST", Path: "/exit", Sent: "nothing"}
	lines, stacks := []string{"Traceback", "no model"}, []string{"goroutine 1"}
	for _, test := range []struct {
		name string
		in   Incident
		want string
	}{
		{"nothing is known", Incident{}, ""},
		{"it wrote something", Incident{LastLines: lines, Requests: []HeldRequest{stream}}, "no model"},
		{"it wrote nothing", Incident{Requests: []HeldRequest{stream, stream, exit}}, "held GET /stream, POST /exit"},
		{"it wrote stacks", Incident{LastLines: lines, Stacks: stacks, Requests: []HeldRequest{stream, stuck}}, "held GET /stuck"},
		{"it wrote stacks and held nothing", Incident{LastLines: lines, Stacks: stacks}, "no model"},
		{"it held a lot", Incident{Requests: []HeldRequest{stream, exit, {Method: "GET", Path: "/a"}, {Method: "GET", Path: "/b"}}}, "held GET /stream, POST /exit, GET /a, ..."},
	} {
		if got := test.in.Detail(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
