//go:build linux

package upgrade

import (
	"errors"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

func TestUpgrades(t *testing.T) {
	u := New()
	if u.Last().Result != control.None || u.Pending() != None {
		t.Errorf("before the first: %+v", u)
	}
	first := u.Wait()
	if !u.Start("v1") || u.Start("v1") || u.Last().Result != control.Underway || u.Pending() != Finding {
		t.Errorf("under way: %+v", u)
	}
	for _, want := range []Phase{Finding, Trying, Closing} {
		got := u.Pending()
		u.begun = true
		if got != want || u.Pending() != None {
			t.Fatalf("it is %v, want %v", got, want)
		}
		u.Next()
	}
	u.Tell()
	if got := <-first; got.Result != control.Underway || got.From != "v1" {
		t.Errorf("told is %+v", got)
	}
	second := u.Wait()
	if was := u.Refuse(errors.New("no"), []string{"because"}); was != Replacing || u.Pending() != None {
		t.Errorf("refused when it was %v: %+v", was, u)
	}
	if got := <-second; got.Result != control.Refused || got.Error != "no\n  because" || u.Last() != got {
		t.Errorf("told is %+v", got)
	}
	select {
	case got := <-first:
		t.Errorf("told again is %+v", got)
	default:
	}
	if !u.Start("v1") {
		t.Error("there is no other")
	}
	if u.Done("v1", "v2"); u.Last() != (control.Upgrade{Result: control.OK, From: "v1", To: "v2"}) {
		t.Errorf("after it: %+v", u.Last())
	}
}
