//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whether a socket blocks is shared by all who have it, and any of them can change it at
// any time. No worker that speaks the protocol waits in accept(2) for a connection that
// another one was faster to take, since all its requests would wait with it.
func TestSocketMadeToBlock(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		if kind.blind {
			continue // accepting is its own affair
		}
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			shared, err := listener.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			defer shared.Close()
			fd := int(shared.Fd())
			block := func() {
				if err := unix.SetNonblock(fd, false); err != nil {
					t.Fatal(err)
				}
			}
			m := start(t, launch{
				config: config(append(kind.lines(t), `bind = ["fd://3"]`, "workers = 2", "keepalive = 60", "graceful_timeout = 20", `env.WHO = "{id}"`)...),
				files:  []*os.File{shared},
			})
			m.count(t, 2, 0, "worker ready", nil)

			kept := map[string]*keptConn{}
			eventually(t, "each worker has a connection", func() bool {
				block()
				c := keep(t, listener.Addr().String())
				if pid := c.ask(t); kept[pid] == nil {
					kept[pid] = c
				} else {
					c.conn.Close()
				}
				return len(kept) == 2
			})
			for range 200 {
				block()
				c := keep(t, listener.Addr().String())
				c.ask(t)
				c.conn.Close()
				for pid, c := range kept {
					if is := c.ask(t); is != pid {
						t.Fatalf("%s answers for %s", is, pid)
					}
				}
			}
			block()
			for _, c := range kept {
				c.conn.Close()
			}
			m.signal(syscall.SIGTERM)
			if status := m.end(); status != 0 || strings.Contains(m.String(), "SIGKILL") {
				t.Errorf("exit status %d, or a worker that was killed", status)
			}
		})
	}
}

// keptConn is a connection for several requests.
type keptConn struct {
	conn  net.Conn
	lines *bufio.Reader
}

func keep(t *testing.T, addr string) *keptConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &keptConn{conn, bufio.NewReader(conn)}
}

// ask returns the pid of the worker that answers.
func (c *keptConn) ask(t *testing.T) string {
	t.Helper()
	c.conn.SetDeadline(time.Now().Add(testTimeout))
	fmt.Fprint(c.conn, "GET / HTTP/1.1\r\nHost: worker\r\n\r\n")
	answer, err := http.ReadResponse(c.lines, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.Header.Get("X-Worker-Pid")
}
