//go:build linux

package revision

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/gosuper/gosuper/config"
)

// Findings are what a configuration means on this machine.
type Findings struct {
	// Chosen is what was chosen where a key leaves it to gosuper, and why, by the
	// name of the key.
	Chosen map[string]string
	// Warnings say what does not fit.
	Warnings []string
}

// Check says whether a master could start with the configuration, as far as
// that can be told without binding an address. The error is a *config.Error.
func Check(c *config.Config) (Findings, error) {
	r, err := Resolve(c)
	if err != nil {
		return Findings{}, err
	}
	found := Findings{Chosen: map[string]string{}, Warnings: r.Memory.Warnings}
	if r.Config.IsProxy() {
		found.Chosen["worker_class"] = config.ProxyCosts
	}
	if r.Resolved.Args != nil {
		found.Chosen["command"] = strings.Join(r.Resolved.Args, " ")
	}
	if r.auto != "" {
		found.Chosen["workers"] = strconv.Itoa(r.Workers) + ": " + r.auto
	}
	if how := c.Replacing(r.Workers); how != "" {
		found.Chosen["resources"] = how
	}
	if err := r.permitted(); err != nil {
		found.Warnings = append(slices.Clone(found.Warnings), err.Error())
	}
	if r.tight != "" {
		found.Warnings = append([]string{r.tight}, found.Warnings...)
	}
	if r.Memory.Why != "" {
		found.Chosen["max_worker_memory_hard"] = limitText(r.Memory.Hard) + ": " + r.Memory.Why
	}
	if server, idle := c.PlainServer(), c.Unheeded(); server != "" && len(idle) > 0 {
		found.Warnings = append(found.Warnings, fmt.Sprintf("settings have no effect, as %s does not speak the worker protocol by itself: %s; use its own, or see gosuper help words",
			server, strings.Join(idle, ", ")))
	}
	return found, nil
}

// Warn says what is doubtful about the revision, but not again how little memory there
// is for the one that is in force.
func (r *Revision) Warn(log *zap.Logger, inForce *Revision) {
	for _, w := range r.Warnings {
		log.Warn(w)
	}
	r.explain(log)
	r.explainMemory(log)
	if r.Config.PlainServer() != "" { // others may turn out to speak the protocol
		r.WarnPlain(log)
	}
	for _, w := range r.Memory.Warnings {
		if r == inForce || !slices.Contains(inForce.Memory.Warnings, w) {
			log.Warn(w)
		}
	}
}

// WarnPlain says once what the configuration asks for that a plain worker cannot do.
func (r *Revision) WarnPlain(log *zap.Logger) {
	idle := r.Config.Unheeded()
	if len(idle) == 0 || r.plain {
		return
	}
	r.plain = true
	log.Warn("settings have no effect on a worker that does not speak the worker protocol: use its own, or see gosuper help words",
		zap.Strings("settings", idle))
}

// WarnScaled says that so many workers may take more memory than there is. Those that
// live keep the limit that they have: it would end workers that did nothing wrong.
func (r *Revision) WarnScaled(log *zap.Logger, workers int) {
	if tight := r.Config.Overlap(r.Machine, workers, r.Memory.Hard); tight != "" {
		log.Warn(tight)
	}
}

// WarnTooLow says once that a worker exceeds max_worker_memory soon after its start.
// fields tell which.
func (r *Revision) WarnTooLow(log *zap.Logger, fields ...zap.Field) {
	if !r.tooLow {
		r.tooLow = true
		log.Warn("max_worker_memory is too low: a worker exceeds it soon after its start, and is replaced later", fields...)
	}
}

// WarnElsewhere says once that a worker which waits on no socket that it was given
// listens on these addresses. fields tell which worker.
func (r *Revision) WarnElsewhere(log *zap.Logger, addresses []string, fields ...zap.Field) {
	if len(addresses) == 0 || r.elsewhere {
		return
	}
	r.elsewhere = true
	log.Warn("a worker listens on an address of its own, and waits on no socket that it was given", append(fields,
		zap.Strings("listens_on", addresses),
		zap.String("hint", "the command must serve the socket it inherits, fd 3 (uvicorn: --fd 3)"))...)
}

// limitText is a limit for people.
func limitText(limit config.Size) string {
	if limit == 0 {
		return "none"
	}
	return limit.String()
}

// explain says why there are so many workers, where that is not written.
func (r *Revision) explain(log *zap.Logger) {
	if r.auto != "" {
		log.Info("workers = "+r.Config.Workers.String(), zap.Int("workers", r.Workers), zap.String("why", r.auto))
	}
	if r.tight != "" {
		log.Warn(r.tight)
	}
}

// explainMemory says what each of them may take, where that is not written.
func (r *Revision) explainMemory(log *zap.Logger) {
	if r.Memory.Why != "" {
		log.Info("max_worker_memory_hard = auto", zap.String("limit", limitText(r.Memory.Hard)), zap.String("why", r.Memory.Why))
	}
}
