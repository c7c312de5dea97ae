//go:build linux

package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// speakers are workers that speak for themselves what a front speaks for its program.
var speakers = []struct {
	name  string
	lines func(t *testing.T, http2 bool) []string
}{
	{"proxy", func(t *testing.T, _ bool) []string { return []string{proxied(t, "--port", "{port}"), classProxy} }},
	{"Node", func(t *testing.T, http2 bool) []string {
		words := []string{need(t, "node"), "protocols.cjs"}
		if http2 {
			words = append(words, "http2")
		}
		return []string{command(words...), fmt.Sprintf("chdir = %q", nodeFolder(t, "protocols.cjs"))}
	}},
}

// They speak TLS and HTTP/2, with all limits, and drain what was begun by either.
func TestProtocols(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := pair(t, 1)
	put(t, filepath.Join(dir, "cert"), cert)
	put(t, filepath.Join(dir, "key"), key)
	certified := fmt.Sprintf("tls = { cert = %q, key = %q }", dir+"/cert", dir+"/key")
	for _, speaker := range speakers {
		for _, tc := range []struct {
			name, scheme string
			proto        int
		}{
			{"h2c", "http", 2},
			{"TLS", "https", 1},
			{"TLS and HTTP/2", "https", 2},
		} {
			t.Run(speaker.name+" "+tc.name, func(t *testing.T) {
				t.Parallel()
				lines := append(speaker.lines(t, tc.proto == 2), "workers = 1", admin("127.0.0.1:0"))
				if tc.scheme == "https" {
					lines = append([]string{certified}, lines...)
				}
				transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
				transport.Protocols.SetHTTP1(tc.proto == 1)
				transport.Protocols.SetHTTP2(tc.proto == 2)
				transport.Protocols.SetUnencryptedHTTP2(tc.proto == 2 && tc.scheme == "http")
				defer transport.CloseIdleConnections()
				client := http.Client{Transport: transport, Timeout: testTimeout}
				get := func(m *master, path string, want int) string {
					t.Helper()
					answer, err := client.Get(tc.scheme + "://" + m.addr() + path)
					if err != nil {
						t.Error(err)
						return ""
					}
					body, err := io.ReadAll(answer.Body)
					answer.Body.Close()
					if err != nil || answer.StatusCode != want || answer.ProtoMajor != tc.proto {
						t.Errorf("%s: %s %s, %v", path, answer.Proto, answer.Status, err)
					}
					return string(body)
				}

				m := up(t, append(lines, `timeout = "1s"`)...)
				get(m, "/", http.StatusOK)
				get(m, "/sleep", http.StatusGatewayTimeout)
				body := get(m, "/headers", http.StatusOK)
				if proto := fmt.Sprintf("%q: %q", "x-forwarded-proto", tc.scheme); speaker.name == "proxy" && !strings.Contains(body, proto) {
					t.Errorf("the program is told %s", body)
				}
				eventually(t, "the master has counted all three", func() bool {
					got := m.samples()
					return got["gosuper_request_timeouts_total"] == 1 && got[`gosuper_requests_total{code="2xx"}`] == 2
				})

				m = up(t, lines...)
				done := make(chan struct{})
				go func() {
					defer close(done)
					get(m, "/nap", http.StatusOK)
				}()
				m.inFlight(1)
				m.reload()
				get(m, "/", http.StatusOK)
				<-done
				m.stopped(match{"requests_lost": 0})
			})
		}
	}
}

// webSocket is a connection that has been upgraded, and is spoken to in raw frames.
type webSocket struct {
	net.Conn
	r *bufio.Reader
}

func openWebSocket(t *testing.T, addr string) *webSocket {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(testTimeout))
	io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%v, %v", answer, err)
	}
	return &webSocket{c, r}
}

// echo sends a text of two bytes, masked with zeros, and reads it back.
func (s *webSocket) echo(t *testing.T) {
	t.Helper()
	s.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'})
	frame := make([]byte, 4)
	if _, err := io.ReadFull(s.r, frame); err != nil || string(frame) != "\x81\x02hi" {
		t.Fatalf("%q, %v", frame, err)
	}
}

// A WebSocket is spoken for as long as there is no silence on it, and a stop waits for it.
func TestWebSockets(t *testing.T) {
	t.Parallel()
	for _, speaker := range speakers {
		t.Run(speaker.name, func(t *testing.T) {
			t.Parallel()
			m := up(t, append(speaker.lines(t, false), "workers = 1", `timeout = "1s"`, `upgrade_timeout = "2s"`, admin("127.0.0.1:0"))...)
			s := openWebSocket(t, m.addr())
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			var silent time.Time
			for end := time.Now().Add(3 * time.Second); time.Now().Before(end); <-tick.C {
				silent = time.Now()
				s.echo(t)
			}
			if b, err := s.r.ReadByte(); err == nil {
				t.Errorf("byte %#x of a connection that is silent", b)
			}
			if took := time.Since(silent); took < 2*time.Second || took > 20*time.Second {
				t.Errorf("the silence lasted for %v", took)
			} else {
				t.Logf("ended after %v of silence", took)
			}
			eventually(t, "its end is counted", func() bool { return m.samples()["gosuper_request_timeouts_total"] == 1 })
			m.inFlight(0)

			s = openWebSocket(t, m.addr())
			s.echo(t)
			m.signal(syscall.SIGTERM)
			m.wait(t, 0, "worker draining", nil)
			s.echo(t)
			s.Close()
			if code := m.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
		})
	}
}
