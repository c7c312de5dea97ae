//go:build linux

package admin

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

// send sends a request with these headers, "Host" among them, and returns the
// status and the answer.
func send(t *testing.T, method, url, body string, headers map[string]string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	if host := headers["Host"]; host != "" {
		r.Host = host
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestActions(t *testing.T) {
	m := &master{}
	e, address := serveOn(t, m, "127.0.0.1:0", Act)
	url := "http://" + address
	good := map[string]string{actionHeader: "1", "Content-Type": "application/json", "Origin": url, "Sec-Fetch-Site": "same-origin"}
	with := func(name, value string) map[string]string {
		headers := map[string]string{name: value}
		for k, v := range good {
			if k != name {
				headers[k] = v
			}
		}
		if value == "" {
			delete(headers, name)
		}
		return headers
	}
	tests := []struct {
		name    string
		method  string
		path    string
		body    string
		headers map[string]string
		status  int
		does    []string
	}{
		{"reload", "POST", "/v1/reload", "{}", good, 202, []string{"reload false"}},
		{"scale", "POST", "/v1/scale", `{"by": -1}`, good, 200, []string{"scale -1"}},
		{"recycle", "POST", "/v1/recycle", `{"workers": [3]}`, good, 200, []string{"recycle [3] false"}},
		{"from a program", "POST", "/v1/recycle", `{"all": true}`, map[string]string{actionHeader: "1", "Content-Type": "application/json; charset=utf-8"}, 200, []string{"recycle [] true"}},
		{"by another name of this machine", "POST", "/v1/reload", "{}", map[string]string{actionHeader: "1", "Content-Type": "application/json", "Host": "localhost:1"}, 202, []string{"reload false"}},

		{"reading", "GET", "/v1/reload", "", good, 405, nil},
		{"stop", "POST", "/v1/stop", "{}", good, 404, nil},
		{"without the header", "POST", "/v1/reload", "{}", with(actionHeader, ""), 403, nil},
		{"a form", "POST", "/v1/reload", "{}", with("Content-Type", "text/plain"), 415, nil},
		{"no type", "POST", "/v1/reload", "{}", with("Content-Type", ""), 415, nil},
		{"another site", "POST", "/v1/reload", "{}", with("Sec-Fetch-Site", "cross-site"), 403, nil},
		{"another port", "POST", "/v1/reload", "{}", with("Sec-Fetch-Site", "same-site"), 403, nil},
		{"an old browser on another site", "POST", "/v1/reload", "{}", map[string]string{actionHeader: "1", "Content-Type": "application/json", "Origin": "http://evil.example"}, 403, nil},
		{"a name that was bound anew", "POST", "/v1/reload", "{}", with("Host", "evil.example"), 403, nil},
		{"nonsense", "POST", "/v1/scale", "by one", good, 400, nil},
		{"preflight", "OPTIONS", "/v1/reload", "", map[string]string{"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}, 405, nil},
	}
	for _, test := range tests {
		status, body := send(t, test.method, url+test.path, test.body, test.headers)
		if does := m.done(); status != test.status || !slices.Equal(does, test.does) {
			t.Errorf("%s: %d %q, does %q", test.name, status, body, does)
		}
	}
	e.Grant(See)
	if status, body := send(t, "POST", url+"/v1/reload", "{}", good); status != 403 || m.done() != nil || !strings.Contains(body, "admin.actions") {
		t.Errorf("without the right: %d %q", status, body)
	}
}

// TestNames: who asks by the name of another site sees nothing but probes.
func TestNames(t *testing.T) {
	_, address := serve(t, &master{health: control.Health{Ready: true}})
	for host, own := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:80": true, "[::1]:80": true, "[::1]": true, "10.1.2.3:9090": true, "localhost": true, "LocalHost:80": true, "a.localhost": true,
		"evil.example": false, "evil.example:80": false, "localhost.evil.example": false, "notlocalhost": false, "127.0.0.1.evil.example": false, "localhost.": false,
	} {
		for path, always := range map[string]bool{"/": false, "/feed": false, "/v1/status": false, "/metrics": false, "/health": true, "/health/ready": true} {
			status, body := send(t, "GET", "http://"+address+path, "", map[string]string{"Host": host})
			if want := own || always; (status == 200) != want || !want && status != 403 {
				t.Errorf("%s of %s: %d %s", path, host, status, body)
			}
		}
	}
}

// TestNobodyElseActs: where others than this machine can connect the right to act
// has no effect, and names are not known.
func TestNobodyElseActs(t *testing.T) {
	m := &master{}
	_, address := serveOn(t, m, "0.0.0.0:0", Act)
	_, port, _ := net.SplitHostPort(address)
	url := "http://127.0.0.1:" + port
	if status, _ := send(t, "POST", url+"/v1/reload", "{}", map[string]string{actionHeader: "1", "Content-Type": "application/json"}); status != 403 || m.done() != nil {
		t.Errorf("an action: %d", status)
	}
	if status, body := send(t, "GET", url+"/metrics", "", map[string]string{"Host": "agents.monitoring.svc:9090"}); status != 200 {
		t.Errorf("a scrape by the name of a service: %d %s", status, body)
	}
	status, body := send(t, "GET", url+"/feed", "", map[string]string{"Host": "agents.example"})
	var f feed
	if err := json.Unmarshal([]byte(body), &f); status != 200 || err != nil || f.Actions {
		t.Errorf("the feed: %d %s", status, body)
	}
}

// TestUnixActs: whoever may connect to the socket may act.
func TestUnixActs(t *testing.T) {
	m := &master{}
	path := t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	e := New(m, nil).Serve(l, Act)
	defer e.Close()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://localhost/v1/reload", nil)
	r.Header.Set(actionHeader, "1")
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if does := m.done(); answer.StatusCode != 202 || !slices.Equal(does, []string{"reload false"}) {
		t.Errorf("%s, does %q", answer.Status, does)
	}
}
