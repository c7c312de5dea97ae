//go:build linux

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gosuper/gosuper/supervisor/control"
)

// doing is what a worker does now: the request that has made no progress for too long, or
// else the oldest, and what it says of itself.
func doing(w control.Worker, requests []control.Request) string {
	var first *control.Request
	listed := uint64(0)
	for i, r := range requests {
		if r.Worker != w.ID {
			continue
		}
		listed++
		if first == nil || r.Silent() && !first.Silent() || r.AgeSeconds > first.AgeSeconds && r.Silent() == first.Silent() {
			first = &requests[i]
		}
	}
	if first == nil {
		return w.Status
	}
	if w.InFlight != nil {
		listed = max(listed, *w.InFlight)
	}
	text := fmt.Sprintf("%s %s for %s", first.Method, first.Path, age(first.AgeSeconds))
	if first.Streaming {
		text += ", streaming"
	}
	if first.Silent() {
		text += ", no progress for " + age(first.IdleSeconds)
	}
	if listed > 1 {
		text += ", and " + strconv.FormatUint(listed-1, 10) + " more"
	}
	if w.Status != "" {
		text += "; " + w.Status
	}
	return text
}

// silentLines are the requests that have made no progress for too long, the one that is ended
// first before all others.
func silentLines(requests []control.Request) (lines []string) {
	var silent []control.Request
	for _, r := range requests {
		if r.Silent() {
			silent = append(silent, r)
		}
	}
	slices.SortStableFunc(silent, func(a, b control.Request) int { return cmp.Compare(*a.DueSeconds, *b.DueSeconds) })
	const most = 2
	for i, r := range silent {
		if i == most {
			return append(lines, fmt.Sprintf("and %d more without progress", len(silent)-most))
		}
		end := "should have ended"
		if *r.DueSeconds > 0 {
			end = "is ended in " + age(*r.DueSeconds)
		}
		lines = append(lines, fmt.Sprintf("no progress for %s  worker %d  %s %s  %s", age(r.IdleSeconds), r.Worker, r.Method, r.Path, end))
	}
	return lines
}

// leasesLine is who holds what, in a line if there are leases.
func leasesLine(leases []control.Lease) []string {
	var held []string
	free := 0
	for _, l := range leases {
		if l.Worker == nil {
			free++
			continue
		}
		held = append(held, l.String()+" "+l.Holder())
	}
	if len(leases) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("leases  %d of %d free  %s", free, len(leases), strings.Join(held, ", "))}
}

// incidentLine is the last incident in a line.
func incidentLine(i control.Incident) string {
	who := i.Process
	if i.Process == control.WorkerProcess {
		who = fmt.Sprintf("worker %d", i.Worker)
	}
	text := fmt.Sprintf("last incident  %s ago  %s  %s  %s", age(i.AgoSeconds), who, i.Reason, i.Status)
	if detail := i.Detail(); detail != "" {
		text += "  " + detail
	}
	return text
}
