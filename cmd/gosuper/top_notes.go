//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gosuper/gosuper/supervisor/control"
)

// doing is what a worker does now: the oldest of its requests, and what it says of itself.
func doing(w control.Worker, requests []control.Request) string {
	var oldest *control.Request
	listed := uint64(0)
	for i, r := range requests {
		if r.Worker != w.ID {
			continue
		}
		listed++
		if oldest == nil || r.AgeSeconds > oldest.AgeSeconds {
			oldest = &requests[i]
		}
	}
	if oldest == nil {
		return w.Status
	}
	if w.InFlight != nil {
		listed = max(listed, *w.InFlight)
	}
	text := fmt.Sprintf("%s %s for %s", oldest.Method, oldest.Path, age(oldest.AgeSeconds))
	if oldest.Streaming {
		text += ", streaming"
	}
	if listed > 1 {
		text += ", and " + strconv.FormatUint(listed-1, 10) + " more"
	}
	if w.Status != "" {
		text += "; " + w.Status
	}
	return text
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
	if n := len(i.LastLines); n > 0 {
		text += "  " + i.LastLines[n-1]
	}
	return text
}
