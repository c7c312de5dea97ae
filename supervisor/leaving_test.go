//go:build linux

package supervisor

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/notify"
)

// TestManyAddressesLeave: reloads that drop an address each, one right after the
// other, leave none of them behind, and the way back to any is open.
func TestManyAddressesLeave(t *testing.T) {
	var places []string
	for i := range 5 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+1))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		places = append(places, l.Addr().String())
	}
	play(t, oneWorker, silent, func(st *stage) {
		s, id := st.master, 1
		st.say(id, notify.Message{Ready: true})
		to := func(bind ...string) {
			t.Helper()
			c := load(t, oneWorker)
			c.Bind = bind
			st.load = func() (*config.Config, []string, error) { return c, nil, nil }
			over := make(chan outcome, 1)
			go func() {
				result, err := s.api().Reload(st.t.Context(), true)
				over <- outcome{result, err}
			}()
			st.pass(100 * time.Millisecond)
			id++
			st.say(id, notify.Message{Ready: true})
			if got := <-over; got.Result != control.OK {
				t.Fatalf("the reload to %v: %+v", bind, got)
			}
			st.exit(id-1, 0)
		}
		to(places[0], places[1], places[2])
		to(places[0], places[3]) // two leave at once
		to(places[0], places[4])
		to(places[0])
		if len(s.sockets.Leaving()) != 4 { // that of the beginning is one
			t.Errorf("%d sets are leaving, want 4", len(s.sockets.Leaving()))
		}
		to(places[0], places[1]) // which one of them has
		if got := strings.Join(s.revisions.Current.Sockets.URLs(), " "); got != "tcp://"+places[0]+" tcp://"+places[1] {
			t.Errorf("listening on %s", got)
		}
		st.pass(10 * time.Second)
		if len(s.sockets.Leaving()) != 0 {
			t.Errorf("%d sets are leaving still", len(s.sockets.Leaving()))
		}
		for i, place := range places {
			l, err := net.Listen("tcp", place)
			if err == nil {
				l.Close()
			}
			if open := err != nil; open != (i <= 1) {
				t.Errorf("%s is in use: %t", place, open)
			}
		}
		st.kill(syscall.SIGQUIT)
		<-st.result
	})
}
