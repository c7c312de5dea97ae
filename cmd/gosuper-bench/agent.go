//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/worker"
)

// agentReady is what an agent without gosuper says once it can answer; app.py says
// the same.
const agentReady = "agent ready"

// newAgent is the server behind the targets that need one of the bench's own. Its
// paths are those of the example agent; what it does for them is the same for
// /health, but its handlers never look at their context.
func newAgent() *cobra.Command {
	var bare bool
	var boot time.Duration
	cmd := &cobra.Command{
		Use:    "agent",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			time.Sleep(boot) // what a model takes to load
			if bare {
				return serveBare(agentHandler())
			}
			return worker.ListenAndServe("127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "0"), agentHandler())
		},
	}
	cmd.Flags().DurationVar(&boot, "boot", 0, "how long to load before serving")
	cmd.Flags().BoolVar(&bare, "bare", false, "serve descriptor 3 with net/http alone")
	return cmd
}

// serveBare is what a careful program does without gosuper: it serves the socket
// that it inherited until SIGTERM, and then shuts down as net/http offers it.
func serveBare(handler http.Handler) error {
	l, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return fmt.Errorf("cannot serve descriptor 3: %w", err)
	}
	srv := &http.Server{Handler: handler}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	fmt.Fprintln(os.Stderr, agentReady)
	select {
	case err := <-ended:
		return err
	case <-stop:
		// Without a limit: whoever asked for the end sets one.
		return srv.Shutdown(context.Background())
	}
}

func agentHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		json.NewEncoder(w).Encode(map[string]string{"status": "ok"})
	})
	mux.HandleFunc("POST /agent", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return // the client is gone
		}
		fmt.Fprintln(w, "done")
	})
	mux.HandleFunc("GET /debug/sleep", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(parameter(r, "d"))
		fmt.Fprintln(w, "slept")
	})
	mux.HandleFunc("GET /debug/spin", func(w http.ResponseWriter, r *http.Request) {
		d := parameter(r, "d")
		for begin := time.Now(); time.Since(begin) < d; {
		}
		fmt.Fprintln(w, "spun")
	})
	mux.HandleFunc("GET /agent/stream", func(w http.ResponseWriter, r *http.Request) {
		tokens, _ := strconv.Atoi(r.FormValue("tokens"))
		delay := parameter(r, "delay")
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w).Flush
		for err := flush(); tokens > 0 && err == nil; tokens-- {
			time.Sleep(delay)
			fmt.Fprint(w, "event: token\ndata: {}\n\n")
			err = flush()
		}
	})
	pid := strconv.Itoa(os.Getpid())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Worker-Pid", pid)
		mux.ServeHTTP(w, r)
	})
}

// parameter is a duration of the query, 0 if it is none.
func parameter(r *http.Request, name string) time.Duration {
	d, _ := time.ParseDuration(r.FormValue(name))
	return d
}
