package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// The bounds of what one debug request can do.
const (
	maxWait = time.Hour
	maxLeak = 4096 // MiB
)

// registerDebug adds the ways to misbehave that a supervisor has to cope with.
func registerDebug(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pid", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, os.Getpid())
	})
	mux.HandleFunc("GET /debug/sleep", func(w http.ResponseWriter, r *http.Request) {
		if d, ok := duration(w, r); ok && wait(r.Context(), d) == nil {
			fmt.Fprintln(w, "slept", d)
		}
	})
	mux.HandleFunc("GET /debug/spin", func(w http.ResponseWriter, r *http.Request) {
		d, ok := duration(w, r)
		if !ok {
			return
		}
		// On purpose without a look at the request's context.
		for begin := time.Now(); time.Since(begin) < d; {
		}
		fmt.Fprintln(w, "spun", d)
	})
	mux.HandleFunc("GET /debug/leak", leak)
	mux.HandleFunc("GET /debug/exit", func(w http.ResponseWriter, r *http.Request) {
		if code, ok := number(w, r, "code", 1, 255); ok {
			os.Exit(code)
		}
	})
}

var (
	leakedMu sync.Mutex // guards leaked
	leaked   [][]byte
)

// leak keeps so many MiB for good, and has them resident.
func leak(w http.ResponseWriter, r *http.Request) {
	mb, ok := number(w, r, "mb", 1, maxLeak)
	if !ok {
		return
	}
	block := make([]byte, mb<<20)
	for i := 0; i < len(block); i += os.Getpagesize() {
		block[i] = 1
	}
	leakedMu.Lock()
	leaked = append(leaked, block)
	leakedMu.Unlock()
	fmt.Fprintln(w, "leaked", mb, "MiB")
}

// duration reads the parameter d, and answers itself if it cannot.
func duration(w http.ResponseWriter, r *http.Request) (time.Duration, bool) {
	d, err := time.ParseDuration(r.FormValue("d"))
	if err != nil || d < 0 || d > maxWait {
		writeError(w, http.StatusBadRequest, errors.New(`d is not a duration within 0s and 1h, such as "2s"`))
		return 0, false
	}
	return d, true
}

// number reads a parameter, and answers itself if it cannot.
func number(w http.ResponseWriter, r *http.Request, name string, standard, limit int) (int, bool) {
	text := r.FormValue(name)
	if text == "" {
		return standard, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > limit {
		writeError(w, http.StatusBadRequest, fmt.Errorf("%s is not a number within 0 and %d", name, limit))
		return 0, false
	}
	return n, true
}
