package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gosuper/gosuper/worker"
)

var update = flag.Bool("update", false, "write what the tests would compare with")

// TestMain lets the scripts run this binary as gosuper, and as its workers.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gosuper": main,
		"server":  server,
	})
}

// server is a cooperating worker that says who answers.
func server() {
	err := worker.ListenAndServe("127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "worker %s\n", os.Getenv("GOSUPER_WORKER_ID"))
	}))
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}
