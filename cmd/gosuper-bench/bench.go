//go:build linux

package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// bench is what the scenarios share.
type bench struct {
	options
	stderr      io.Writer
	dir         string // for the applications of Python and Node, removed at the end
	workerClass string // of Gunicorn for ASGI, "" if there is none
	nodeProgram string // "" unless --node
}

func newBench(o options, stderr io.Writer) (*bench, error) {
	dir, err := os.MkdirTemp("", "gosuper-bench-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	b := &bench{options: o, stderr: stderr, dir: dir}
	if err := b.prepare(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

//go:embed *.py *.cjs *.toml
var apps embed.FS

// prepare writes the applications, and finds what serves them.
func (b *bench) prepare() error {
	if err := os.CopyFS(b.dir, apps); err != nil {
		return fmt.Errorf("cannot write the applications: %w", err)
	}
	for _, folder := range []*string{&b.venv, &b.modules} { // that processes in other folders look into
		if *folder == "" {
			continue
		}
		var err error
		if *folder, err = filepath.Abs(*folder); err != nil {
			return err
		}
	}
	if b.node {
		return b.prepareNode()
	}
	return b.preparePython()
}

func (b *bench) close() { os.RemoveAll(b.dir) }

// scenario is what is done to each target in turn.
type scenario struct {
	name, about string
	// specs are the targets, gosuper first; nil: it is not for this program and its
	// peers.
	specs func(b *bench) []spec
	// wish is what it wants of the servers that --python compares, on so many workers;
	// with none it is not for them.
	wish    wish
	workers int
	// node: it is for those that --node compares too.
	node bool
	// run makes one sample.
	run func(ctx context.Context, b *bench, t *target) (sample, error)
	// lasting: targets stay for several rounds, and each of the others has a gosuper of
	// its own beside it, so that the two of a pair follow each other and have worked,
	// and rested, for as long.
	lasting bool
	// binding: targets bind the socket themselves; one that is passed to them is not
	// theirs to close for others.
	binding bool
	// named: it is played only if it is asked for.
	named bool
}

// play plays a scenario on all its targets, and gives the report what it shows.
// What goes wrong with another target than gosuper leaves that one out.
func (b *bench) play(ctx context.Context, s scenario, r *report) error {
	specs := b.choose(b.targets(s))
	rounds := (b.rounds + 2) / 3
	stage := turns
	if s.lasting {
		rounds, stage = b.rounds, pairs
	}
	began := time.Now()
	p := &player{bench: b, scenario: s, report: r, live: map[string]*target{}, failed: map[string]bool{}}
	defer p.end()
	for round := range rounds {
		if round%lasts == 0 {
			p.end() // what one process is like by chance is not what all are like
		}
		if err := stage(ctx, p, specs, round); err != nil {
			return err
		}
	}
	fmt.Fprintf(b.stderr, "%s: %d rounds, %s\n", s.name, rounds, time.Since(began).Round(time.Second))
	return nil
}

// targets are those of a scenario, gosuper first; none if it is not for them.
func (b *bench) targets(s scenario) (specs []spec) {
	switch {
	case b.python && s.workers > 0:
		specs = b.pythons(s.workers, s.wish)
	case b.node && s.node:
		specs = b.nodes(s.workers, s.wish)
	case !b.python && !b.node && s.specs != nil:
		specs = s.specs(b)
	}
	if s.binding {
		for i := range specs {
			specs[i] = specs[i].binding()
		}
	}
	return specs
}

// choose leaves out what gosuper, the first of the targets, is not to be compared with,
// and adds the variants of it.
func (b *bench) choose(specs []spec) []spec {
	ours := specs[0]
	chosen := slices.DeleteFunc(specs, func(s spec) bool {
		return s.name != ours.name && len(b.against) > 0 && !slices.Contains(b.against, s.name)
	})
	for _, v := range b.variants {
		other := ours
		other.name += " " + v
		other.env = slices.Concat(ours.env, []string{v})
		chosen = append(chosen, other)
	}
	return chosen
}

// known is an error if there is nobody of a name that gosuper is to be compared with.
func (b *bench) known(chosen []scenario) error {
	var names []string
	for _, s := range chosen {
		for _, other := range b.targets(s)[1:] {
			names = append(names, other.name)
		}
	}
	for _, name := range b.against {
		if !slices.Contains(names, name) {
			return usageError{fmt.Errorf("no target %q to compare with", name)}
		}
	}
	return nil
}

// lasts is for how many rounds a target stays.
const lasts = 5

// turns lets all targets have a run each, every other round the other way round.
func turns(ctx context.Context, p *player, specs []spec, round int) error {
	samples := map[string]sample{}
	for i := range specs {
		s := specs[i]
		if round%2 == 1 {
			s = specs[len(specs)-1-i]
		}
		var err error
		if samples[s.name], err = p.run(ctx, s, ""); err != nil {
			return err
		}
	}
	for _, s := range specs[1:] {
		p.report.pair(p.scenario.name, s.name, samples[specs[0].name], samples[s.name])
	}
	return nil
}

// pairs lets gosuper and each of the others have a run, one right after the other.
func pairs(ctx context.Context, p *player, specs []spec, round int) error {
	for _, other := range specs[1:] {
		samples := map[string]sample{}
		for i := range 2 {
			s := other
			if i == round%2 {
				s = specs[0]
			}
			var err error
			if samples[s.name], err = p.run(ctx, s, " beside "+other.name); err != nil {
				return err
			}
		}
		p.report.pair(p.scenario.name, other.name, samples[specs[0].name], samples[other.name])
	}
	return nil
}

// player is a scenario under way.
type player struct {
	*bench
	scenario scenario
	report   *report
	live     map[string]*target // those that last, by name and pair
	failed   map[string]bool    // those that are left out
}

func (p *player) end() {
	for _, t := range p.live {
		t.stop()
	}
	clear(p.live)
}

// run makes a sample of a target, in a pair if that has a name; nil if it is left out.
func (p *player) run(ctx context.Context, s spec, pair string) (sample, error) {
	if p.failed[s.name] {
		return nil, nil
	}
	got, err := p.sample(ctx, s, s.name+pair)
	if err != nil {
		if s.name == "gosuper" || ctx.Err() != nil {
			return nil, err
		}
		fmt.Fprintf(p.stderr, "gosuper-bench: warning: %s: %s is left out: %v\n", p.scenario.name, s.name, err)
		p.failed[s.name] = true
		return nil, nil
	}
	p.report.add(p.scenario.name, s.name, got)
	return got, nil
}

func (p *player) sample(ctx context.Context, s spec, key string) (sample, error) {
	t := p.live[key]
	if t == nil {
		var err error
		if t, err = p.start(ctx, s); err != nil {
			return nil, err
		}
		if p.scenario.lasting {
			p.live[key] = t
			if _, err := p.scenario.run(ctx, p.bench, t); err != nil { // warm it up
				return nil, err
			}
		} else {
			defer t.stop()
		}
	}
	return p.scenario.run(ctx, p.bench, t)
}
