//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// wish is what a scenario wants of a server for Python or Node, whatever the option is
// called there.
type wish struct {
	requests int      // after which a worker is replaced; 0: never
	timeout  bool     // a limit of one second
	preload  bool     // where it can: the application is loaded once
	hop      bool     // also hops before servers that know nothing of gosuper
	env      []string // of the application, see ballast.py
}

// flags are how gosuper is told.
func (w wish) flags() (flags []string) {
	if w.requests > 0 {
		flags = append(flags, "--max-requests", strconv.Itoa(w.requests))
	}
	if w.timeout {
		flags = append(flags, "--timeout", "1s")
	}
	if w.preload {
		flags = append(flags, "--preload")
	}
	return flags
}

// pythons are the servers that --python compares, as many of them as there are in the
// virtual environment; gosuper is always first.
func (b *bench) pythons(workers int, w wish) []spec {
	other, name := w, "gosuper preload"
	if other.preload = !w.preload; w.preload {
		name = "gosuper, not preloaded"
	}
	specs := []spec{b.gosuperPython("gosuper", workers, w), b.gosuperPython(name, workers, other)}
	gunicorn := []string{"-b", "fd://3", "-w", strconv.Itoa(workers), "--log-level", "warning"}
	uvicorn := []string{"--fd", "3", "--workers", strconv.Itoa(workers), "--log-level", "warning", "--no-access-log"}
	granian := []string{"--interface", "asgi", "--workers", strconv.Itoa(workers), "--log-level", "warning", "--host", "127.0.0.1", "--port", freePort}
	if w.requests > 0 {
		gunicorn = append(gunicorn, "--max-requests", strconv.Itoa(w.requests))
		uvicorn = append(uvicorn, "--limit-max-requests", strconv.Itoa(w.requests))
	}
	if w.timeout {
		gunicorn = append(gunicorn, "--timeout", "1")
	}
	if w.preload {
		gunicorn = append(gunicorn, "--preload")
	}
	specs = append(specs, b.python3("gunicorn asgi", workers, w, "gunicorn", append(slices.Clone(gunicorn), "-k", "asgi")...)...)
	if b.workerClass != "" {
		specs = append(specs, b.python3("gunicorn uvicorn", workers, w, "gunicorn", append(gunicorn, "-k", b.workerClass)...)...)
	}
	if w.preload {
		return specs // the others cannot
	}
	specs = append(specs, b.python3("uvicorn", workers, w, "uvicorn", uvicorn...)...)
	if w.requests == 0 {
		specs = append(specs, b.python3("granian", workers, w, "granian", granian...)...)
	}
	return specs
}

// gosuperPython is gosuper with the application served by the package gosuper.
func (b *bench) gosuperPython(name string, workers int, w wish) spec {
	s := b.gosuperWith(workers, []string{filepath.Join(b.venv, "bin", "python"), "-m", "gosuper", b.module()}, w.flags()...)
	s.name, s.env = name, w.env
	return s
}

// python3 is a program of the virtual environment that serves the application; none if
// it is not there.
func (b *bench) python3(name string, workers int, w wish, program string, args ...string) []spec {
	path := filepath.Join(b.venv, "bin", program)
	if !executable(path) {
		return nil
	}
	return []spec{{
		name: name, args: slices.Concat([]string{path}, args, []string{b.module()}),
		mark: agentReady, parts: workers, workers: workers, env: w.env,
	}}
}

// module is the application as servers for Python name it.
func (b *bench) module() string {
	if b.app == "fastapi" {
		return "fast:app"
	}
	return "app:app"
}

// preparePython finds the package gosuper and the worker class for ASGI.
func (b *bench) preparePython() error {
	if b.venv == "" {
		return nil
	}
	python := filepath.Join(b.venv, "bin", "python")
	if b.python && exec.Command(python, "-c", "import gosuper, uvicorn").Run() != nil {
		return fmt.Errorf("%s has no gosuper[uvicorn]: pip install './worker/python[uvicorn]'", b.venv)
	}
	// The class has moved from Uvicorn to a package of its own.
	for _, module := range []string{"uvicorn_worker", "uvicorn.workers"} {
		if exec.Command(python, "-W", "ignore", "-c", "import "+module).Run() == nil {
			b.workerClass = module + ".UvicornWorker"
			break
		}
	}
	return nil
}
