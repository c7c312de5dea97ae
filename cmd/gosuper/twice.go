//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/supervisor"
	"github.com/gosuper/gosuper/supervisor/control"
)

// searchTime is how long a master that cannot start may look for another one.
const searchTime = time.Second

// whose is an error of a master that could not start, with what to do if an address is
// taken by another master of the same user: whoever starts one twice meant something else.
func (a *app) whose(err error) error {
	e, ok := errors.AsType[*supervisor.Error](err)
	if !ok || !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), searchTime)
	defer cancel()
	home := control.HomeOf(a.environ)
	found, _ := home.Find(ctx)
	for _, f := range found {
		st, err := home.Client(f.Address).Status(ctx, false)
		if err == nil && listensAt(st.Binds, e.Error()) {
			return &supervisor.Error{Err: e.Err, Hint: fmt.Sprintf(
				"gosuper runs there already, as %s: gosuper reload -n %[2]s takes over what is new, gosuper stop -n %[2]s ends it", listed([]control.Found{f}), f.Name)}
		}
	}
	return err
}

// listensAt says whether one of the addresses has the port of that which
// an error names.
func listensAt(binds []string, text string) bool {
	text, named := strings.CutPrefix(text, "cannot listen on ")
	at, _, cut := strings.Cut(text, ": ")
	if !named || !cut {
		return false
	}
	for _, bind := range binds {
		if place := bind[strings.LastIndexAny(bind, ":")+1:]; strings.HasSuffix(at, ":"+place) {
			return true
		}
	}
	return false
}
