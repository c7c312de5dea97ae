//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// nodes are what --node compares: the same agent under gosuper, which is always first,
// in node:cluster, and under pm2 where npm has installed that. Neither of the two has a
// limit on a request, nor one on how many a worker serves.
func (b *bench) nodes(workers int, w wish) []spec {
	env := []string{"NODE_PATH=" + filepath.Join(b.modules, "node_modules")}
	ours := b.gosuperWith(workers, []string{b.nodeProgram, "agent.cjs"}, w.flags()...)
	ours.env = env
	specs := []spec{ours}
	if w.requests > 0 {
		return specs
	}
	peer := func(name string, args ...string) {
		specs = append(specs, spec{
			name: name, args: slices.Concat([]string{b.nodeProgram, name + ".cjs", strconv.Itoa(workers)}, args),
			mark: agentReady, parts: workers, workers: workers, env: env,
		})
	}
	peer("cluster", "--fd", "3")
	if b.installed("pm2") {
		peer("pm2", "--port", freePort)
	}
	if w.hop {
		specs = append(specs, b.fronts(workers, w.flags()...)...)
	}
	if w.hop && !w.timeout {
		specs = append(specs, b.rolling(workers)...)
	}
	return specs
}

// fronts are those of gosuper before the same agent, and before the servers for Python that
// the virtual environment has.
func (b *bench) fronts(workers int, flags ...string) []spec {
	front := func(name string, words ...string) spec {
		s := b.gosuperWith(workers, words, append([]string{"--worker-class", "proxy"}, flags...)...)
		s.name = "gosuper before " + name
		return s
	}
	specs := []spec{front("node", b.nodeProgram, "agent.cjs")}
	if program := filepath.Join(b.venv, "bin", "uvicorn"); executable(program) {
		specs = append(specs, front("uvicorn", program, "--port", "{port}", "--log-level", "warning", "--no-access-log", "app:app"))
	}
	if program := filepath.Join(b.venv, "bin", "granian"); executable(program) {
		specs = append(specs, front("granian", program, "--interface", "asgi", "--log-level", "warning", "--port", "{port}", "app:app"))
	}
	return specs
}

// installed reports whether npm has installed a package.
func (b *bench) installed(name string) bool {
	_, err := os.Stat(filepath.Join(b.modules, "node_modules", name, "package.json"))
	return err == nil
}

// prepareNode finds node and the package gosuper.
func (b *bench) prepareNode() error {
	var err error
	if b.nodeProgram, err = exec.LookPath("node"); err != nil {
		return err
	}
	if !b.installed("gosuper") {
		return fmt.Errorf("%s has no gosuper: npm install --prefix %s ./worker/node", b.modules, b.modules)
	}
	return nil
}
