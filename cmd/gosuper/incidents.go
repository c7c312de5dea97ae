//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gosuper/gosuper/supervisor/control"
)

// newIncidents is gosuper incidents.
func (a *app) newIncidents() *cobra.Command {
	var asJSON bool
	worker := -1
	cmd := a.newCommand(&cobra.Command{
		Use:   "incidents [--json] [ID|loader]",
		Short: "Show which workers died, and of what",
		Long: "Show the last 64 workers that died, were killed or were replaced for a fault, and\n" +
			"loaders that failed, the newest first.\n\n" +
			"With the ID of a worker, or the word loader: what it wrote last, its stacks where it\n" +
			"was asked for them, and every request that it held.",
		Args: func(_ *cobra.Command, args []string) (err error) {
			worker, err = incidentOf(args)
			return err
		},
		ValidArgs: []string{"loader"},
	}, func(ctx context.Context, m *control.Client, _ []string) error {
		ctx, cancel := soon(ctx)
		defer cancel()
		found, err := m.Incidents(ctx)
		if err != nil {
			return err
		}
		if worker >= 0 {
			found.Incidents = slices.DeleteFunc(found.Incidents, func(i control.Incident) bool { return i.Worker != worker })
			if len(found.Incidents) == 0 {
				return failure{fmt.Errorf("there is no incident of %s", whose(worker)), "gosuper incidents lists the last 64"}
			}
		}
		switch {
		case asJSON:
			return a.sayJSON(found)
		case worker >= 0:
			return a.say(incidentsText(found.Incidents))
		}
		return a.say(incidentsTable(found.Incidents))
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, for programs")
	return cmd
}

// incidentOf reads whose incidents are wanted: the id of a worker, 0 for loaders, -1 for
// all.
func incidentOf(args []string) (int, error) {
	hint := "gosuper incidents lists them"
	switch {
	case len(args) == 0:
		return -1, nil
	case len(args) > 1:
		return 0, usageError{fmt.Errorf("gosuper incidents takes the id of one worker, not %d words", len(args)), hint}
	case args[0] == control.LoaderProcess:
		return 0, nil
	}
	id, err := strconv.Atoi(args[0])
	if err != nil || id < 1 {
		return 0, usageError{fmt.Errorf("%q is not the id of a worker", args[0]), hint}
	}
	return id, nil
}

// sayJSON writes to stdout what a master said.
func (a *app) sayJSON(value any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	return a.say(text.String())
}

// incidentsTable is a line for each incident.
func incidentsTable(all []control.Incident) string {
	if len(all) == 0 {
		return "no worker has died, or was ended for a fault\n"
	}
	t := table{columns: []column{
		{"AGO", right},
		{"WORKER", right},
		{"SLOT", right},
		{"GEN", right},
		{"REASON", left},
		{"ENDED", left},
		{"AGE", right},
		{"MEMORY", right},
		{"LOST", right},
		{"HELD", left},
	}}
	for _, i := range all {
		id, slot := i.Process, "-"
		if i.Process == control.WorkerProcess {
			id, slot = strconv.Itoa(i.Worker), slotText(i.Slot)
		}
		t.add(age(i.AgoSeconds), id, slot, strconv.Itoa(i.Generation), i.Reason, oneLine(i.Status), age(i.AgeSeconds), incidentMemory(i), known(i.RequestsLost), heldText(i))
	}
	return t.String() + "\ngosuper incidents ID shows what a worker wrote last, and the requests that it held\n"
}

// heldText is the oldest of the requests that were held, and how many others.
func heldText(i control.Incident) string {
	switch more := len(i.Requests) + i.RequestsMore - 1; {
	case i.Requests == nil:
		return "-"
	case len(i.Requests) == 0:
		return ""
	case more > 0:
		return fmt.Sprintf("%s %s and %d more", i.Requests[0].Method, i.Requests[0].Path, more)
	}
	return i.Requests[0].Method + " " + i.Requests[0].Path
}

// incidentMemory is what the process took; "-" where that was never measured.
func incidentMemory(i control.Incident) string {
	if i.MemoryBytes == nil {
		return "-"
	}
	return memory(*i.MemoryBytes)
}

// whose says of which process an incident is.
func whose(worker int) string {
	if worker == 0 {
		return "a loader"
	}
	return fmt.Sprintf("worker %d", worker)
}

// incidentsText is all that is known of some incidents.
func incidentsText(all []control.Incident) string {
	texts := make([]string, len(all))
	for n, i := range all {
		texts[n] = incidentText(i)
	}
	return strings.Join(texts, "\n")
}

func incidentText(i control.Incident) string {
	var b strings.Builder
	place := fmt.Sprintf("slot %d  ", i.Slot)
	switch {
	case i.Process == control.LoaderProcess:
		place = ""
	case i.Slot < 0:
		place = "spare  "
	}
	fmt.Fprintf(&b, "%s  %spid %d  generation %d\n", strings.TrimPrefix(whose(i.Worker), "a "), place, i.PID, i.Generation)
	fmt.Fprintf(&b, "%s: %s  %s ago, at %s  age %s", i.Reason, i.Status, age(i.AgoSeconds), i.At, age(i.AgeSeconds))
	if i.MemoryBytes != nil {
		fmt.Fprintf(&b, "  %s %s", strings.ToUpper(string(i.MemoryKind)), memory(*i.MemoryBytes))
	}
	b.WriteString("\n")
	section := func(head string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s:\n  %s\n", head, strings.Join(lines, "\n  "))
		}
	}
	section("its last lines", i.LastLines)
	section("its stacks", i.Stacks)
	switch {
	case i.Process == control.LoaderProcess:
	case i.Requests == nil:
		b.WriteString("\nwhich requests it held is not known: it was a plain worker (gosuper help protocol)\n")
	case len(i.Requests)+i.RequestsMore == 0:
		b.WriteString("\nit held no request\n")
	default:
		fmt.Fprintf(&b, "\n%d requests held, %s lost:\n%s", len(i.Requests)+i.RequestsMore, known(i.RequestsLost), heldTable(i.Requests))
		if i.RequestsMore > 0 {
			fmt.Fprintf(&b, "and %d more\n", i.RequestsMore)
		}
	}
	return b.String()
}

// sentWords are what was sent of a response, for people.
var sentWords = map[string]string{"nothing": "", "ended": "ended at its deadline"}

func heldTable(requests []control.HeldRequest) string {
	t := table{columns: []column{{"AGE", right}, {"IDLE", right}, {"RESPONSE", left}, {"METHOD", left}, {"PATH", left}, {"REQUEST ID", left}}}
	for _, r := range requests {
		sent, given := sentWords[r.Sent]
		if !given {
			sent = r.Sent
		}
		t.add(age(r.AgeSeconds), age(r.IdleSeconds), sent, r.Method, r.Path, r.RequestID)
	}
	return t.String()
}

// slotText is a slot; a spare has none.
func slotText(slot int) string {
	if slot < 0 {
		return "-"
	}
	return strconv.Itoa(slot)
}
