//go:build linux

package socket

import (
	"errors"
	"slices"
	"syscall"
	"testing"
)

// The owner of the held sets uses them while another goroutine binds, which the race detector watches.
func TestPlanBindsBesideTheOwner(t *testing.T) {
	path := t.TempDir() + "/s"
	held := listen(t, "127.0.0.1:0", "127.0.0.1:0")
	p := NewPlan(Addresses{Shared: mustParse(t, "127.0.0.1:0", "unix:"+path)}, Options{Backlog: 5}, nil, held, held)
	bound := make(chan error)
	go func() { bound <- p.Bind() }()
	if err := errors.Join(held.Quiesce(), held.Listen()); err != nil {
		t.Fatal(err)
	}
	if err := <-bound; err != nil {
		t.Fatal(err)
	}
	set := p.Take()
	if set.Len() != 2 || set.Fds(0)[0] != held.Fds(0)[0] || slices.Contains(held.Fds(0), set.Fds(0)[1]) {
		t.Fatalf("descriptors %v, held were %v", set.Fds(0), held.Fds(0))
	}
	if set.options.Backlog != 5 || held.Without(set).Len() != 1 {
		t.Errorf("options %+v, %d left", set.options, held.Without(set).Len())
	}
	if err := set.Listen(); err != nil {
		t.Fatal(err)
	}
	for _, url := range set.URLs() {
		mustDial(t, url)
	}
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
}

// What was to be taken over may be closed before it is.
func TestPlanIsOutOfDate(t *testing.T) {
	held := listen(t, "127.0.0.1:0")
	url := held.URLs()[0]
	p := NewPlan(Addresses{Shared: mustParse(t, "127.0.0.1:0", "127.0.0.2:0")}, Options{}, held)
	if err := p.Bind(); err != nil {
		t.Fatal(err)
	}
	fresh := p.op.set.entries[1].fd
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if set := p.Take(); set != nil {
		t.Fatalf("a closed socket was taken over: %v", set.Fds(0))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, url); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%s: %v", url, err)
	}
	if err := listens(fresh); err == nil || err.Error() != "the descriptor is not open" {
		t.Errorf("what was bound is left open: %v", err)
	}
}

// A plan that cannot be carried out leaves the held sockets alone.
func TestPlanFails(t *testing.T) {
	held, foreign := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	p := NewPlan(Addresses{Shared: mustParse(t, "127.0.0.1:0", foreign.URLs()[0])}, Options{}, held)
	if err := p.Bind(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("bound a place twice: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	mustDial(t, held.URLs()[0])
}
