//go:build linux

package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A program that puts itself into the background is told of, and leaves nothing behind.
func TestProxyDaemon(t *testing.T) {
	t.Parallel()
	m := start(t, launch{config: config(command(as("unruly", "daemon")...), classProxy, "workers = 1", "restart.startup_attempts = 1")})
	if code := m.end(); code != 3 || !strings.Contains(m.String(), "foreground") {
		t.Errorf("exit status %d", code)
	}
	m.gone(time.Second)
}

// A program that does not heed its stop signal is killed when the time is over.
func TestProxyDeaf(t *testing.T) {
	t.Parallel()
	m := up(t, command(as("unruly", "deaf")...), classProxy, "workers = 1", `graceful_timeout = "1s"`, `drain_timeout = "1s"`)
	before := m.workers()[0]
	m.reload()
	m.wait(t, 0, "worker gone", match{"pid": before})
	begin := time.Now()
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(begin); took < time.Second-early {
		t.Errorf("killed after %v", took)
	}
	m.gone(0)
}

// What a program says is no brake, and what it does to its port is 502, said once.
func TestProxyUnruly(t *testing.T) {
	t.Parallel()
	m := up(t, command(as("unruly", "loud")...), classProxy, "workers = 1")
	for _, path := range []string{"/flood", "/close"} {
		if _, body, err := m.get(path); err != nil || body != "done\n" {
			t.Fatalf("%s: %q, %v", path, body, err)
		}
	}
	for range 50 {
		if answer, _, err := m.get("/"); err != nil || answer.StatusCode != http.StatusBadGateway {
			t.Fatalf("%v, %v", answer, err)
		}
	}
	if n := strings.Count(m.String(), "connection refused"); n == 0 || n > 25 {
		t.Errorf("%d complaints of 50 requests", n)
	}
}

// A body that comes slowly is progress, and one that is long no burden.
func TestProxySlowBody(t *testing.T) {
	t.Parallel()
	m := up(t, command(as("unruly", "slow")...), classProxy, "workers = 1", `timeout = "1s"`)
	body, send := io.Pipe()
	go func() {
		for range 20 {
			send.Write(bytes.Repeat([]byte("a"), 1<<20))
			<-time.After(150 * time.Millisecond)
		}
		send.Close()
	}()
	answer, err := http.Post("http://"+m.addr()+"/", "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != fmt.Sprintln(20<<20) {
		t.Errorf("%s %q, %v", answer.Status, text, err)
	}
	if kib := memory(t, m.workers()[0], "Pss:"); kib > 25<<10 && !raceEnabled {
		t.Errorf("the front takes %d KiB", kib)
	}
}

// Trailers pass in both directions, over each protocol.
func TestProxyTrailers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := pair(t, 1)
	put(t, filepath.Join(dir, "cert"), cert)
	put(t, filepath.Join(dir, "key"), key)
	for _, scheme := range []string{"http", "https"} {
		lines := []string{command(as("unruly", "trailers")...), classProxy, "workers = 1"}
		if scheme == "https" {
			lines = append(lines, fmt.Sprintf("tls = { cert = %q, key = %q }", dir+"/cert", dir+"/key"))
		}
		m := up(t, lines...)
		for proto := 1; proto <= 2; proto++ {
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(proto == 1)
			transport.Protocols.SetHTTP2(proto == 2)
			transport.Protocols.SetUnencryptedHTTP2(proto == 2 && scheme == "http")
			for _, size := range []int{5, 100 << 10} {
				for _, known := range []bool{false, true} {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://"+m.addr()+"/", strings.NewReader(strings.Repeat("a", size)))
					if err != nil {
						t.Fatal(err)
					}
					if !known || proto == 1 {
						req.ContentLength = -1
					}
					req.Trailer = http.Header{"X-Sum": {"42"}}
					answer, err := (&http.Client{Transport: transport, Timeout: testTimeout}).Do(req)
					if err != nil {
						t.Fatal(err)
					}
					text, err := io.ReadAll(answer.Body)
					answer.Body.Close()
					if sum := answer.Trailer.Get("X-Sum"); err != nil || string(text) != fmt.Sprintln(size) || sum != "told 42" {
						t.Errorf("%s, HTTP/%d, %d bytes: %s %q, trailer %q, %v", scheme, proto, size, answer.Status, text, sum, err)
					}
				}
			}
			transport.CloseIdleConnections()
		}
	}
}
