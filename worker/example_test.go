//go:build unix

package worker_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gosuper/gosuper/worker"
)

// A whole server. `go run .` serves the address and ends gracefully on Ctrl-C;
// `gosuper ./server` runs several of it on one socket.
func Example() {
	http.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello")
	})
	if err := worker.ListenAndServe("127.0.0.1:8000", nil); err != nil {
		log.Fatal(err)
	}
}

// A server of the caller's own, with limits.
func ExampleServe() {
	srv := &http.Server{
		Handler:           http.FileServer(http.Dir(".")),
		ReadHeaderTimeout: 5 * time.Second,
	}
	if err := worker.Serve(srv, "127.0.0.1:8000"); err != nil {
		log.Fatal(err)
	}
}

// A stream of server-sent events that tells its client why it ends.
func ExampleDraining() {
	http.HandleFunc("GET /clock", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			fmt.Fprintf(w, "data: %s\n\n", time.Now().Format(time.TimeOnly))
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			case <-worker.Draining():
				fmt.Fprint(w, "event: error\ndata: server shutting down\n\n")
				return
			}
		}
	})
}

// A server that is not HTTP: it sends lines back until its listener closes.
func ExampleListeners() {
	listeners, err := worker.Listeners()
	if err != nil {
		log.Fatal(err)
	}
	if len(listeners) == 0 { // run alone
		l, err := net.Listen("tcp", "127.0.0.1:7000")
		if err != nil {
			log.Fatal(err)
		}
		listeners = append(listeners, l)
		go func() { <-worker.Draining(); l.Close() }()
	}
	if err := worker.Ready(); err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listeners[0].Accept()
		if err != nil {
			return // draining
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, bufio.NewReader(conn))
		}()
	}
}

// A server of a line protocol: every line is a request of its own, with a timeout
// and a place on the board.
func ExampleBegin() {
	serve := func(conn net.Conn) {
		defer conn.Close()
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			verb, object, _ := strings.Cut(lines.Text(), " ")
			request := worker.Begin(verb, object)
			answer, err := lookUp(request.Context(), object)
			if err != nil {
				fmt.Fprintln(conn, "ERROR", err)
				request.End(500)
				continue
			}
			fmt.Fprintln(conn, answer)
			request.End(200)
		}
	}
	listeners, err := worker.Listeners()
	if err != nil {
		log.Fatal(err)
	}
	if err := worker.Ready(); err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listeners[0].Accept()
		if err != nil {
			return // draining
		}
		go serve(conn)
	}
}

// lookUp stands for the work, which ends early when its context does.
func lookUp(ctx context.Context, object string) (string, error) {
	select {
	case <-time.After(time.Millisecond):
		return "value of " + object, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
