package fleet

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts replays testdata/*.txt. A line "settings k=v ..." gives the
// first revision; a line "TIME EVENT ..." is an event, and the indented lines
// below it are what the brain answers. Before each event the brain is given
// every tick it asked for, shown as "TIME tick (due)", but not before a
// "TIME late EVENT".
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := replay(string(want))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s says\n%s\nbut the brain does\n%s", file, want, got)
			}
		})
	}
}

// transcript is a replay in progress.
type transcript struct {
	strings.Builder
	fleet *Fleet
	start time.Time
	last  int // revision
}

func replay(text string) (string, error) {
	tr := &transcript{start: time.Unix(0, 0).UTC(), last: 1}
	for n, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(line, "    ") || strings.Contains(line, "(due)") {
			continue
		}
		if err := tr.line(line); err != nil {
			return "", fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return tr.String(), nil
}

func (tr *transcript) line(line string) error {
	words := strings.Fields(line)
	switch {
	case len(words) == 0 || strings.HasPrefix(line, "#"):
		fmt.Fprintln(tr, line)
		return nil
	case words[0] == "settings":
		s, err := parseSettings(baseSettings(), words[1:])
		if err != nil {
			return err
		}
		tr.fleet = New(1, s, func() float64 { return 0.5 })
		fmt.Fprintln(tr, line)
		return nil
	case tr.fleet == nil || len(words) < 2:
		return fmt.Errorf("cannot understand %q", line)
	}
	after, err := time.ParseDuration(words[0])
	if err != nil {
		return err
	}
	at := tr.start.Add(after)
	late := words[1] == "late" && len(words) > 2
	if late {
		words = words[1:]
	}
	ev, err := tr.event(words[1:])
	if err != nil {
		return err
	}
	if !late {
		for due, ok := tr.fleet.Deadline(); ok && due.Before(at); due, ok = tr.fleet.Deadline() {
			tr.step(fmt.Sprintf("%v tick (due)", due.Sub(tr.start)), due, Tick{})
		}
	}
	tr.step(line, at, ev)
	return nil
}

func (tr *transcript) step(line string, at time.Time, ev Event) {
	fmt.Fprintln(tr, line)
	for _, a := range tr.fleet.Step(at, ev) {
		fmt.Fprintf(tr, "    %s\n", tr.say(a))
	}
}

// say prints an action for people.
func (tr *transcript) say(a Action) string {
	switch a := a.(type) {
	case Spawn:
		w := a.Worker
		lease := ""
		for _, name := range slices.Sorted(maps.Keys(w.Lease)) {
			lease += fmt.Sprintf(" %s=%s", name, w.Lease[name])
		}
		return fmt.Sprintf("spawn %d slot=%d place=%d revision=%d generation=%d%s (%s)", w.ID, w.Slot, w.Place, w.Revision, w.Generation, lease, a.Reason)
	case Load:
		return fmt.Sprintf("load revision %d, generation %d (%s)", a.Revision, a.Generation, a.Reason)
	case Unload:
		return fmt.Sprintf("unload revision %d (%s)", a.Revision, a.Reason)
	case KillLoader:
		return fmt.Sprintf("kill loader of revision %d", a.Revision)
	case AbortLoader:
		return fmt.Sprintf("abort loader of revision %d (%s)", a.Revision, a.Reason)
	case Activate:
		return fmt.Sprintf("activate %d slot=%d (%s)", a.ID, a.Slot, a.Reason)
	case Weigh:
		return "weigh"
	case Cramped:
		return "cramped"
	case Spareless:
		return fmt.Sprintf("spareless, %d", a.ID)
	case Announce:
		return fmt.Sprintf("ready %d", a.ID)
	case FoundStuck:
		return fmt.Sprintf("found %d stuck, innocents %d (%s)", a.ID, a.Innocents, a.Reason)
	case FoundFailing:
		return fmt.Sprintf("found %d failing", a.ID)
	case FoundOutage:
		return fmt.Sprintf("outage, %d failing", a.Failing)
	case FoundFailed:
		return fmt.Sprintf("found %d failed, until %v", a.ID, a.Until.Sub(tr.start))
	case Recovered:
		return fmt.Sprintf("recovered %d", a.ID)
	case Defer:
		return fmt.Sprintf("defer %d until %v (%s)", a.ID, a.Until.Sub(tr.start), a.Reason)
	case Crowded:
		return fmt.Sprintf("crowded, %d waits for %d", a.ID, a.Draining)
	case Withdraw:
		return fmt.Sprintf("withdraw %d", a.ID)
	case Plain:
		return fmt.Sprintf("plain %d", a.ID)
	case Retire:
		return fmt.Sprintf("retire %d until %v (%s)", a.ID, a.Until.Sub(tr.start), a.Reason)
	case Hasten:
		return fmt.Sprintf("hasten %d until %v", a.ID, a.Until.Sub(tr.start))
	case Prolong:
		return fmt.Sprintf("prolong %d until %v", a.ID, a.Until.Sub(tr.start))
	case Abort:
		return fmt.Sprintf("abort %d (%s)", a.ID, a.Reason)
	case Kill:
		return fmt.Sprintf("kill %d (%s)", a.ID, a.Reason)
	case Unkillable:
		return fmt.Sprintf("unkillable %d", a.ID)
	case Bury:
		return fmt.Sprintf("bury %d: %s, backoff %v", a.Worker.ID, a.Verdict, a.Backoff)
	case Rescale:
		if a.Floor != a.To {
			return fmt.Sprintf("rescale %d to %d, at least %d", a.From, a.To, a.Floor)
		}
		return fmt.Sprintf("rescale %d to %d", a.From, a.To)
	case Apply:
		return fmt.Sprintf("apply revision %d, generation %d (%s)", a.Revision, a.Generation, a.Reason)
	case EndReload:
		if a.Loader {
			return fmt.Sprintf("reload to revision %d %s, culprit is its loader", a.Revision, a.Result)
		}
		return fmt.Sprintf("reload to revision %d %s, culprit %d", a.Revision, a.Result, a.Culprit)
	case Close:
		return "close"
	case Up:
		return "up"
	case Halt:
		if a.Loader {
			return "halt, culprit is the loader"
		}
		return fmt.Sprintf("halt, culprit %d", a.Culprit)
	}
	return fmt.Sprintf("unknown %T", a)
}

func (tr *transcript) event(words []string) (Event, error) {
	number := func(i int) (n int, err error) {
		if len(words) <= i {
			return 0, fmt.Errorf("%q needs a number", words[0])
		}
		return strconv.Atoi(words[i])
	}
	switch words[0] {
	case "tick":
		return Tick{}, nil
	case "demand":
		return parseDemand(words[1:]), nil
	case "stop":
		return Stop{}, nil
	case "quick":
		return Stop{Quick: true}, nil
	case "reload":
		tr.last++
		s, err := parseSettings(tr.fleet.current.Settings, words[1:])
		return Reload{tr.last, s}, err
	case "extend", "longer":
		id, err := number(1)
		if err != nil || len(words) < 3 {
			return nil, fmt.Errorf("%s ID DURATION, not %q", words[0], words)
		}
		by, err := time.ParseDuration(words[2])
		if words[0] == "longer" {
			return LoaderExtended{id, by}, err
		}
		return Extend{id, by}, err
	}
	id, err := number(1)
	switch words[0] {
	case "loaded":
		return LoaderReady{id}, err
	case "unloaded":
		return LoaderExited{id}, err
	case "hopeless":
		return Hopeless{id}, err
	case "hung":
		return LoaderHung{id}, err
	case "failed":
		return SpawnFailed{id}, err
	case "exited":
		return Exited{id}, err
	case "cleared":
		return Cleared{id}, err
	case "executed":
		return Executed{id}, err
	case "ready":
		return SaidReady{ID: id}, err
	case "holds":
		return SaidReady{id, true}, err
	case "waits":
		return Waits{id}, err
	case "cooperates":
		return Cooperates{id}, err
	case "stopping":
		return SaidStopping{id}, err
	case "fails":
		return SaidFailed{id}, err
	case "recycle":
		return Recycle{id, Reason(slices.Concat(words, []string{"max_requests"})[2])}, err
	case "streams":
		streams, err := number(2)
		return Looked{Sights: []Sight{{ID: id, Streams: streams}}}, err
	case "wishes":
		return Wish{id, "tired"}, err
	case "stuck":
		innocents := 0
		if len(words) > 2 {
			innocents, err = number(2)
		}
		return Looked{Sights: []Sight{{ID: id, Overdue: true, Innocents: innocents}}}, err
	case "well":
		return Looked{Sights: []Sight{{ID: id}}}, err
	case "memory":
		return Memory{id}, err
	case "oversized":
		return Oversized{id}, err
	case "scale":
		return ScaleBy{id}, err
	case "recount":
		return Recount{id}, err
	}
	return nil, fmt.Errorf("unknown event %q", words[0])
}

// parseSettings changes the settings named by k=v words.
func parseSettings(s Settings, words []string) (Settings, error) {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		d, _ := time.ParseDuration(value)
		switch key {
		case "command":
			s.Command = value
		case "workers":
			s.Workers = n
		case "most":
			s.WorkersMax, s.InFlight, s.IdleTimeout = n, 4, 10*time.Second
		case "memory":
			s.MemoryBound = value == "bound"
		case "spares":
			s.Spares = n
		case "surge":
			s.Surge = Surge{Count: n}
			if p, ok := strings.CutSuffix(value, "%"); ok {
				percent, _ := strconv.Atoi(p)
				s.Surge = Surge{Percent: percent}
			}
		case "gpus":
			s.Leases = nil
			for _, gpu := range strings.Split(value, ",") {
				s.Leases = append(s.Leases, Lease{"gpu": gpu})
			}
		case "preload":
			s.Preload = value == "true"
		case "parallel":
			s.StartParallel = n
		case "graceful":
			s.GracefulTimeout = d
		case "drain":
			s.DrainTimeout = d
		case "delay":
			s.StopDelay = d
		case "startup":
			s.StartupTimeout = d
		case "lifetime":
			s.Lifetime = d
		case "jitter":
			s.LifetimeJitter = d
		case "attempts":
			s.StartupAttempts = n
		case "ready":
			s.Ready = map[string]ReadyMode{"auto": ReadyAuto, "notify": ReadyNotify, "alive": ReadyAlive}[value]
		default:
			return s, fmt.Errorf("unknown setting %q", word)
		}
	}
	return s, nil
}
