//go:build linux

package revision

import (
	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/outfit"
	"github.com/gosuper/gosuper/supervisor/internal/process"
)

// Spec is how a process of the command is made that gets the outfit, as the worker that
// it will be, if any. executed is called by another goroutine when the command runs, or
// never will.
func (r *Revision) Spec(o *outfit.Outfit, worker config.Worker, executed func()) process.Spec {
	path, argv := r.Config.Launch(r.Resolved, worker)
	spec := process.Spec{
		Path: path, Argv: argv, Dir: r.Resolved.Dir,
		Env: o.Env, Files: o.Files, Credential: r.Credential,
		Limits: limits(r.Config), Executed: executed,
	}
	if r.Config.IsProxy() {
		spec.Limits.AS = 0 // that of the program, which the front sets
	}
	if r.Config.Umask.Set {
		spec.Umask = &r.Config.Umask.Mask
	}
	return spec
}

// limits are those that the kernel holds a worker to.
func limits(c *config.Config) process.Limits {
	l := process.Limits{
		NoFile: uint64(c.Limits.NoFile), AS: uint64(c.Limits.AS),
		Nice: c.Limits.Nice, OOMScoreAdj: c.Limits.OOMScoreAdj, NoNewPrivs: c.Limits.NoNewPrivs.On,
	}
	if core := uint64(c.Limits.Core); c.Limits.Core >= 0 {
		l.Core = &core
	}
	return l
}
