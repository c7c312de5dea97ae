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
	if b.modules, err = filepath.Abs(b.modules); err != nil {
		return err
	}
	if !b.installed("gosuper") {
		return fmt.Errorf("%s has no gosuper: npm install --prefix %s ./worker/node", b.modules, b.modules)
	}
	return nil
}
