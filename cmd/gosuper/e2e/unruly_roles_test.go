//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// unruly is a program behind a front: it listens on PORT, and does what it should not.
func unruly(args []string) error {
	switch args[0] {
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
	case "daemon":
		cmd := exec.Command(os.Args[0], "as", "unruly", "child")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		return cmd.Start()
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		fmt.Fprintln(w, n)
		w.Header().Set("X-Sum", "told "+r.Trailer.Get("X-Sum"))
	})
	mux.HandleFunc("/flood", func(w http.ResponseWriter, _ *http.Request) {
		for range 4000 {
			fmt.Fprintln(os.Stderr, strings.Repeat("flood ", 200))
		}
		fmt.Fprintln(w, "done")
	})
	mux.HandleFunc("/close", func(w http.ResponseWriter, _ *http.Request) {
		l.Close()
		fmt.Fprintln(w, "done")
	})
	srv := &http.Server{Handler: mux}
	srv.SetKeepAlivesEnabled(false)
	if err := srv.Serve(l); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	select {} // it lives on
}
