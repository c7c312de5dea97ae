package fleet

import (
	"fmt"
	"strings"
)

// tell prints events in one line.
func tell(events []Event) string {
	var b strings.Builder
	for _, ev := range events {
		fmt.Fprintf(&b, "%s%+v ", strings.TrimPrefix(fmt.Sprintf("%T", ev), "fleet."), ev)
	}
	return strings.TrimSpace(b.String())
}

// describe prints actions in one line.
func describe(actions []Action) string {
	var b strings.Builder
	for _, a := range actions {
		name := strings.TrimPrefix(fmt.Sprintf("%T", a), "fleet.")
		switch a := a.(type) {
		case Spawn:
			fmt.Fprintf(&b, "%s{%d slot %d place %d rev %d %s} ", name, a.Worker.ID, a.Worker.Slot, a.Worker.Place, a.Worker.Revision, a.Reason)
		case Bury:
			fmt.Fprintf(&b, "%s{%d %s backoff %v} ", name, a.Worker.ID, a.Verdict, a.Backoff)
		case Retire:
			fmt.Fprintf(&b, "%s{%d %s} ", name, a.ID, a.Reason)
		case Hasten:
			fmt.Fprintf(&b, "%s{%d} ", name, a.ID)
		default:
			fmt.Fprintf(&b, "%s%+v ", name, a)
		}
	}
	return strings.TrimSpace(b.String())
}
