//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// The pace of a soak.
const (
	reloadEvery = 5 * time.Second
	killEvery   = 7 * time.Second
	stuckEvery  = 11 * time.Second
	// deathTime is how long after a kill a client may learn of it: a loss later
	// than that has another reason.
	deathTime = time.Second
)

// soak reloads, kills a worker at random and sends requests that get stuck, beside
// requests and streams. Whatever is lost must have been in flight on a killed
// worker: it ended when one was killed, and a kill takes at most what was on its
// way.
func soak(ctx context.Context, b *bench, t *target) (sample, error) {
	var d diary
	f := b.traffic(ctx, t, d.note)
	defer f.end()
	ctx, stop := context.WithTimeout(ctx, b.duration)
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	streamed := load.Plan{Addr: t.addr, Path: streaming, Connections: streams, Timeout: requestTime, Seen: d.note}
	var streamResult *load.Result
	running.Go(func() { streamResult = streamed.Run(ctx) })

	reloads, fates := 0, map[string]int{}
	reload, kill, stuck := time.NewTicker(reloadEvery), time.NewTicker(killEvery), time.NewTicker(stuckEvery)
	defer reload.Stop()
	defer kill.Stop()
	defer stuck.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-reload.C:
			if err := t.reload(ctx); err != nil {
				return nil, fmt.Errorf("cannot reload: %w", err)
			}
			reloads++
		case <-kill.C:
			pids, err := f.workers(ctx)
			if err != nil {
				continue // the time is over
			}
			d.kills = append(d.kills, time.Now())
			if err := syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL); err != nil {
				return nil, fmt.Errorf("cannot kill a worker: %w", err)
			}
		case <-stuck.C:
			running.Go(func() {
				a := t.ask(context.WithoutCancel(ctx), "/debug/sleep?d=20s", giveUp)
				d.note(a)
				d.mu.Lock()
				defer d.mu.Unlock()
				fates[fate(a)]++
			})
		}
	}
	running.Wait()
	result := f.end()
	streamFates := losses("streams", streamResult, false)
	streamFates.tally[load.Complete.String()] = streamResult.Complete
	unexplained := seen("lost without a kill", d.unexplained())
	unexplained.must = none
	s := sample{
		count("reloads", float64(reloads)), count("kills", float64(len(d.kills))),
		count("on their way at most", float64(b.connections/2*2+streams)), seen("stuck requests: outcome", fates), streamFates, unexplained,
	}
	return append(s, outcome(result, false)...), nil
}

// diary is what happened when.
type diary struct {
	kills []time.Time // belongs to the goroutine of soak

	mu   sync.Mutex // guards lost
	lost []load.Answer
}

// note keeps an outcome that is a loss; the 504 of a stuck request is none.
func (d *diary) note(a load.Answer) {
	if a.Kind == load.Complete || fate(a) == "504" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost = append(d.lost, a)
}

// unexplained are the losses, by kind, that did not happen when a worker was
// killed.
func (d *diary) unexplained() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	kinds := map[string]int{}
	for _, a := range d.lost {
		end, explained := a.Start.Add(a.Took), false
		for _, k := range d.kills {
			explained = explained || !end.Before(k) && end.Sub(k) < deathTime
		}
		if !explained {
			kinds[fate(a)]++
		}
	}
	return kinds
}
