package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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

// ownProgram puts this binary into a folder as gosuper, which it will then be.
func ownProgram(t *testing.T, dir string) (path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "gosuper")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
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
