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

// A front speaks TLS and HTTP/2 for a program that does not, and counts its requests.
func TestProxyProtocols(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := pair(t, 1)
	put(t, filepath.Join(dir, "cert"), cert)
	put(t, filepath.Join(dir, "key"), key)
	for _, tc := range []struct {
		name, scheme string
		proto        int
		lines        []string
	}{
		{"h2c", "http", 2, nil},
		{"TLS", "https", 1, []string{fmt.Sprintf("tls = { cert = %q, key = %q }", dir+"/cert", dir+"/key")}},
		{"TLS and HTTP/2", "https", 2, []string{fmt.Sprintf("tls = { cert = %q, key = %q }", dir+"/cert", dir+"/key")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := up(t, append(tc.lines, proxied(t, "--port", "{port}"), classProxy, "workers = 1", `timeout = "1s"`)...)
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(tc.proto == 1)
			transport.Protocols.SetHTTP2(tc.proto == 2)
			transport.Protocols.SetUnencryptedHTTP2(tc.proto == 2 && tc.scheme == "http")
			defer transport.CloseIdleConnections()
			client := http.Client{Transport: transport, Timeout: testTimeout}
			for path, want := range map[string]int{"/": http.StatusOK, "/sleep": http.StatusGatewayTimeout, "/headers": http.StatusOK} {
				answer, err := client.Get(tc.scheme + "://" + m.addr() + path)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil || answer.StatusCode != want || answer.ProtoMajor != tc.proto {
					t.Errorf("%s: %s %s, %v", path, answer.Proto, answer.Status, err)
				}
				if proto := fmt.Sprintf("%q: %q", "x-forwarded-proto", tc.scheme); path == "/headers" && !strings.Contains(string(body), proto) {
					t.Errorf("the program is told %s", body)
				}
			}
		})
	}
}

// A WebSocket passes, and a stop waits for it.
func TestProxyWebSocket(t *testing.T) {
	t.Parallel()
	m := up(t, proxied(t, "--port", "{port}"), classProxy, "workers = 1")
	c, err := net.Dial("tcp", m.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testTimeout))
	io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", answer, err)
	}
	echo := func() {
		t.Helper()
		c.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'}) // a text of two bytes, masked with zeros
		frame := make([]byte, 4)
		if _, err := io.ReadFull(r, frame); err != nil || string(frame) != "\x81\x02hi" {
			t.Fatalf("%q, %v", frame, err)
		}
	}
	echo()
	m.signal(syscall.SIGTERM)
	m.wait(t, 0, "worker draining", nil)
	echo()
	c.Close()
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// The example runs as it stands, on another port.
func TestProxyExample(t *testing.T) {
	t.Parallel()
	path, err := filepath.Abs(examples + "/proxy")
	if err != nil {
		t.Fatal(err)
	}
	file := replace(t, read(t, examples+"/proxy/supervisor.toml"), "127.0.0.1:8000", "127.0.0.1:0")
	m := start(t, launch{config: fmt.Sprintf("chdir = %q\n", path) + replace(t, file, `"granian"`, fmt.Sprintf("%q", granian(t)))})
	m.wait(t, 0, "ready", nil)
	answer, body, err := m.get("/stream")
	if err != nil || answer.StatusCode != http.StatusOK || body != "data: one\n\ndata: two\n\ndata: three\n\ndata: done\n\n" {
		t.Errorf("%v %q, %v", answer, body, err)
	}
	m.reload()
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
