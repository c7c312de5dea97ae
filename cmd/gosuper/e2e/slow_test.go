//go:build linux

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// handleSlow adds what takes its time, and asks neither its context nor the drain
// whether it may.
func handleSlow(handle func(string, http.HandlerFunc)) {
	handle("/nap", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(duration(r)) // as asked for
		fmt.Fprintln(w, "slept")
	})
	handle("/spin", func(w http.ResponseWriter, r *http.Request) {
		for begin, d := time.Now(), duration(r); time.Since(begin) < d; {
		}
		fmt.Fprintln(w, "spun")
	})
	handle("/tokens", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range n {
			fmt.Fprint(w, "event: token\ndata: x\n\n")
			http.NewResponseController(w).Flush()
			time.Sleep(duration(r)) // the pause that was asked for
		}
		fmt.Fprint(w, "event: done\ndata: all of it\n\n")
	})
	handle("/child", func(w http.ResponseWriter, _ *http.Request) {
		cmd := exec.Command("sleep", "300")
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Fprint(w, cmd.Process.Pid)
	})
}

// reply is what became of one request that no client repeats.
type reply struct {
	start  time.Time
	took   time.Duration // to the end of the answer, or to the error
	status int           // 0: there was no answer
	header http.Header
	body   string
	err    error
	tokens int // that came, of a stream
}

// whole says whether it is a stream that came to its end.
func (r reply) whole() bool { return r.err == nil && strings.HasSuffix(r.body, "data: all of it\n\n") }

func (r reply) String() string {
	return fmt.Sprintf("status %d after %v, %d bytes, %d tokens, error %v", r.status, r.took, len(r.body), r.tokens, r.err)
}

// once sends one request on a connection of its own. When the header of the answer
// is there, its worker is told to begun, 0 if there is none.
func once(addr, path string, begun chan<- int) reply {
	r := reply{start: time.Now()}
	r.err = r.exchange(addr, path, begun)
	r.took = time.Since(r.start)
	return r
}

func (r *reply) exchange(addr, path string, begun chan<- int) error {
	pid := 0
	tell := func() {
		if begun != nil {
			begun <- pid
			begun = nil
		}
	}
	defer tell()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(r.start.Add(testTimeout))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	r.status, r.header = answer.StatusCode, answer.Header
	pid, _ = strconv.Atoi(answer.Header.Get("X-Worker-Pid"))
	tell()
	body, err := io.ReadAll(answer.Body)
	r.body = string(body)
	r.tokens = strings.Count(r.body, "event: token")
	return err
}

// send sends n requests and returns at once.
func send(addr, path string, n int) <-chan reply {
	replies := make(chan reply, n)
	for range n {
		go func() { replies <- once(addr, path, nil) }()
	}
	return replies
}

// streams begins n streams, and returns when all have begun, with the worker of
// each.
func streams(t testing.TB, addr, path string, n int) (<-chan reply, []int) {
	t.Helper()
	replies, begun := make(chan reply, n), make(chan int, n)
	for range n {
		go func() { replies <- once(addr, path, begun) }()
	}
	pids := take(t, n, begun)
	for _, pid := range pids {
		if pid == 0 {
			t.Fatalf("a stream did not begin: %v", <-replies)
		}
	}
	return replies, pids
}

// take takes n things from a channel.
func take[T any](t testing.TB, n int, from <-chan T) []T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	var all []T
	for len(all) < n {
		select {
		case one := <-from:
			all = append(all, one)
		case <-ctx.Done():
			t.Fatalf("%d of %d came", len(all), n)
		}
	}
	return all
}

// eventually waits for a condition of which nobody tells.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); !holds(); time.Sleep(5 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}
