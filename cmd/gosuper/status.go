//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/supervisor/control"
)

// newStatus is gosuper status.
func (a *app) newStatus() *cobra.Command {
	var asJSON, requests bool
	cmd := a.newCommand(&cobra.Command{
		Use:   "status [--json] [--requests]",
		Short: "Show what runs, worker by worker",
		Long: "Show what runs, worker by worker. Where several masters run and it is not said\n" +
			"which one is meant, they are listed by name.",
		Args: noArgs,
	}, func(ctx context.Context, m *control.Client, _ []string) error {
		ctx, cancel := soon(ctx)
		defer cancel()
		st, err := m.Status(ctx, requests)
		if err != nil {
			return err
		}
		if asJSON {
			return a.sayJSON(st)
		}
		return a.say(statusText(st, lineWidth(a.stdout)))
	})
	one := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := one(cmd, args)
		if found, ok := errors.AsType[several](err); ok && !asJSON {
			return a.say(a.overview(context.Background(), found))
		}
		return err
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for programs")
	cmd.Flags().BoolVar(&requests, "requests", false, "with each request in flight")
	return cmd
}

// overview lists several masters.
func (a *app) overview(ctx context.Context, found several) string {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	rows := make([][]string, len(found))
	var asking sync.WaitGroup
	for i, f := range found {
		asking.Go(func() {
			pid, state, ready := "-", "-", "-"
			if f.PID > 0 {
				pid = strconv.Itoa(f.PID)
			}
			h, err := control.HomeOf(a.environ).Client(f.Address).Health(ctx)
			if err == nil {
				state, ready = h.Condition.Text(), fmt.Sprintf("%d of %d", h.ReadyWorkers, h.WorkersTarget)
			} else {
				state = "does not answer"
			}
			rows[i] = []string{f.Name, pid, state, ready, f.Address}
		})
	}
	asking.Wait()
	t := table{columns: []column{{"NAME", left}, {"PID", right}, {"STATE", left}, {"READY", left}, {"CONTROL", left}}, rows: rows}
	return t.String() + "\n" + found.hint()
}

// statusText is the status for people, in lines of that width as far as tables can be had so.
func statusText(st control.Status, width int) string {
	var b strings.Builder
	workers := table{columns: workerColumns(st.Workers)}
	for _, w := range st.Workers {
		workers.add(workerCells(w)...)
	}
	workers.narrow(width, statusRoom, spareColumns...)
	fmt.Fprintf(&b, "%s  pid %d  version %s\n", summary(st), st.PID, st.Version)
	fmt.Fprintf(&b, "bind %s\n\n", strings.Join(st.Binds, " "))
	if st.CrashLoop != nil {
		b.WriteString(crashLoopText(st.CrashLoop) + "\n")
	}
	if st.LoaderFailing != nil {
		b.WriteString(loaderFailingText(st.LoaderFailing) + "\n")
	}
	fmt.Fprintf(&b, "%s\n", &workers)
	if st.Sizing != nil {
		fmt.Fprintf(&b, "%s\n\n", st.Sizing.Why)
	}
	if st.Overlap != nil {
		fmt.Fprintf(&b, "%s\n\n", st.Overlap.Why)
	}
	for _, l := range st.Loaders {
		fmt.Fprintf(&b, "loader  pid %s  generation %d  %s  up %s  %d forks  %s %s", known(l.PID), l.Generation, l.State, age(l.AgeSeconds), l.Forks, strings.ToUpper(string(l.MemoryKind)), memory(l.MemoryBytes))
		if l.Status != "" {
			b.WriteString("  " + l.Status)
		}
		b.WriteString("\n")
	}
	if len(st.Loaders) > 0 {
		b.WriteString("\n")
	}
	if len(st.Leases) > 0 {
		b.WriteString(leasesText(st.Leases) + "\n")
	}
	if st.Requests != nil {
		b.WriteString(requestsText(st.Requests) + "\n")
	}
	b.WriteString(countersText(st.Counters))
	if st.Unknown != "" {
		b.WriteString(st.Unknown + "\n")
	}
	switch st.LastReload.Result {
	case control.None:
	case control.RolledBack:
		fmt.Fprintf(&b, "last reload rolled back: %s\n", st.LastReload.Error)
	default:
		fmt.Fprintf(&b, "last reload %s\n", st.LastReload.Result)
	}
	return b.String()
}

// summary is the master and its fleet in one line.
func summary(st control.Status) string {
	text := fmt.Sprintf("%s  %s  %d of %d workers ready", st.Name, st.Condition.Text(), st.ReadyWorkers, st.WorkersTarget)
	if st.SparesTarget > 0 {
		text += fmt.Sprintf("  %d of %d spares", st.ReadySpares, st.SparesTarget)
	}
	text += fmt.Sprintf("  generation %d  up %s", st.Generation, age(st.UptimeSeconds))
	if st.MemoryBytes != nil {
		text += "  " + memory(*st.MemoryBytes) + " of memory"
	}
	return text
}

// crashLoopText says which workers end again and again, and what they wrote.
func crashLoopText(c *control.CrashLoop) string {
	slots := make([]string, len(c.Slots))
	for i, slot := range c.Slots {
		slots[i] = strconv.Itoa(slot)
	}
	text := fmt.Sprintf("slot %s is", slots[0])
	if len(slots) > 1 {
		text = fmt.Sprintf("slots %s are", strings.Join(slots, ", "))
	}
	text += fmt.Sprintf(" in a crash loop: %d crashes in a row, ", c.Crashes)
	if c.NextSeconds > 0 {
		text += fmt.Sprintf("the next start in %s\n", age(c.NextSeconds))
	} else {
		text += "a new worker is there\n"
	}
	switch {
	case c.Worker == 0:
		return text
	case len(c.LastLines) == 0:
		return text + fmt.Sprintf("worker %d: %s; it wrote nothing\n", c.Worker, c.Status)
	}
	return text + fmt.Sprintf("worker %d: %s; its last lines:\n  %s\n", c.Worker, c.Status, strings.Join(c.LastLines, "\n  "))
}

// loaderFailingText says how loaders fail, what the last one wrote, and what to do.
func loaderFailingText(l *control.LoaderFailing) string {
	text := l.Text() + "\n"
	if l.NextSeconds > 0 {
		text += fmt.Sprintf("the next start in %s", age(l.NextSeconds))
	} else {
		text += "another one is there"
	}
	if len(l.LastLines) == 0 {
		return text + "; the last one wrote nothing\n"
	}
	return text + "; the last lines of the last one:\n  " + strings.Join(l.LastLines, "\n  ") + "\n"
}

// workerColumns are the columns of a table of workers.
func workerColumns(workers []control.Worker) []column {
	return []column{
		{"ID", right},
		{"SLOT", right},
		{"PID", right},
		{"GEN", right},
		{"STATE", left},
		{"AGE", right},
		{"REQUESTS", right},
		{"IN FLIGHT", right},
		{"CPU TIME", right},
		{memoryHead(workers), right},
		{"RESTARTS", right},
		{"STATUS", left},
	}
}

// spareColumns are what a narrow table of workers goes without, the first one first, until
// there is room for statusRoom letters of what a worker does.
var spareColumns = []string{"CPU TIME", "RESTARTS", "GEN", "SLOT", "REQUESTS", "PID"}

const statusRoom = 30

// workerCells is a worker in such a table.
func workerCells(w control.Worker) []string {
	requests := known(w.Requests)
	if w.MaxRequests > 0 {
		requests += "/" + strconv.Itoa(w.MaxRequests)
	}
	return []string{
		strconv.Itoa(w.ID), slotText(w.Slot), known(w.PID), strconv.Itoa(w.Generation), w.State, age(w.AgeSeconds),
		requests, known(w.InFlight), cpuTime(w.CPUSeconds), memory(w.MemoryBytes), number(w.Restarts), says(w),
	}
}

// says is what is known of a worker in words: that it is to be replaced, and what it says.
func says(w control.Worker) string {
	if w.Recycle == "" {
		return w.Status
	}
	return strings.TrimSuffix("to be replaced: "+w.Recycle+"; "+w.Status, "; ")
}

// loaderCells is a loader in such a table.
func loaderCells(l control.Loader) []string {
	says := fmt.Sprintf("%d forks", l.Forks)
	if l.Status != "" {
		says += "; " + oneLine(l.Status)
	}
	return []string{"loader", "-", known(l.PID), strconv.Itoa(l.Generation), l.State, age(l.AgeSeconds), "-", "-", cpuTime(l.CPUSeconds), memory(l.MemoryBytes), "-", says}
}

// leasesText says who holds what.
func leasesText(leases []control.Lease) string {
	t := table{columns: []column{{"LEASE", left}, {"HELD BY", left}}}
	for _, l := range leases {
		t.add(l.String(), l.Holder())
	}
	return t.String()
}

// requestsText are the requests in flight.
func requestsText(requests []control.Request) string {
	if len(requests) == 0 {
		return "no request is in flight\n"
	}
	t := table{columns: []column{{"WORKER", right}, {"AGE", right}, {"IDLE", right}, {"", left}, {"METHOD", left}, {"PATH", left}, {"REQUEST ID", left}}}
	for _, r := range requests {
		streaming := ""
		if r.Streaming {
			streaming = "streaming"
		}
		t.add(strconv.Itoa(r.Worker), age(r.AgeSeconds), age(r.IdleSeconds), streaming, r.Method, r.Path, r.RequestID)
	}
	return t.String()
}

// countersText are the totals in one line.
func countersText(c control.Counters) string {
	text := fmt.Sprintf("%s requests, %s timeouts, %s requests lost; restarts:", known(c.Requests), known(c.Timeouts), known(c.RequestsLost))
	none := true
	for _, r := range control.Reasons() {
		if n := c.Restarts[r]; n > 0 {
			text += fmt.Sprintf(" %s %d", r, n)
			none = false
		}
		if r == control.Recycle && len(c.RecycleReasons) > 0 {
			text += ownText(c.RecycleReasons)
		}
	}
	if none {
		text += " none"
	}
	return text + "\n"
}

// ownText are the reasons that workers gave for wanting to be replaced.
func ownText(reasons map[string]uint64) string {
	var all []string
	for _, r := range slices.Sorted(maps.Keys(reasons)) {
		all = append(all, fmt.Sprintf("%s %d", r, reasons[r]))
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// memoryHead says what the memory is, if that is the same for all workers.
func memoryHead(workers []control.Worker) string {
	head := ""
	for _, w := range workers {
		switch kind := strings.ToUpper(string(w.MemoryKind)); {
		case w.MemoryBytes == 0 || kind == head:
		case head == "":
			head = kind
		default:
			return "MEMORY"
		}
	}
	if head == "" {
		return "MEMORY"
	}
	return head
}
