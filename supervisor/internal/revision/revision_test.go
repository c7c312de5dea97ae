//go:build linux

package revision

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/outfit"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

// load is a configuration whose command is a copy of true.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "server"), []byte("#!/bin/true\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "gosuper.toml")
	text = "command = [\"" + filepath.Join(dir, "server") + "\", \"a\"]\nbind = [\"127.0.0.1:0\"]\n" + text
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(config.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func resolve(t *testing.T, text string) *Revision {
	t.Helper()
	r, err := Resolve(load(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResolveSaysWhichKeyIsWrong(t *testing.T) {
	for key, text := range map[string]string{
		"user":  "user = \"nobody-of-that-name\"\n",
		"group": "group = \"nobody-of-that-name\"\n",
	} {
		_, err := Resolve(load(t, text))
		if e, ok := errors.AsType[*config.Error](err); !ok || e.Key != key {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOverwritten(t *testing.T) {
	r := resolve(t, "")
	if r.overwritten() {
		t.Error("it is the file that it was")
	}
	if err := os.WriteFile(r.Resolved.Path, []byte("#!/bin/false\n# which is longer\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if !r.overwritten() {
		t.Error("it is another file")
	}
}

func TestDrawRequests(t *testing.T) {
	if n := resolve(t, "").DrawRequests(); n != 0 {
		t.Errorf("%d, want no limit", n)
	}
	drawn := map[int]bool{}
	for r := resolve(t, "max_requests = 10\nmax_requests_jitter = 2\n"); len(drawn) < 3; {
		n := r.DrawRequests()
		if n < 10 || n > 12 {
			t.Fatal(n)
		}
		drawn[n] = true
	}
}

func TestSpec(t *testing.T) {
	r := resolve(t, "umask = \"027\"\n[limits]\nnofile = 100\n")
	spec := r.Spec(&outfit.Outfit{Env: []string{"A=b"}, Files: []int{3}}, config.Worker{}, nil)
	if spec.Path != r.Resolved.Path || spec.Argv[1] != "a" || *spec.Umask != 0o27 || spec.Limits.NoFile != 100 || spec.Env[0] != "A=b" || spec.Files[0] != 3 {
		t.Errorf("%+v", spec)
	}
}

// bind makes a set of the addresses, with what is held.
func bind(t *testing.T, r *Revision, held Held) *Binding {
	t.Helper()
	free := make(chan struct{})
	close(free)
	held.Free = free
	b, err := r.Bind(held)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Try(nil); err != nil {
		t.Fatal(err)
	}
	return b
}

const admin = "[admin]\nbind = \"127.0.0.1:0\"\n[control]\nsocket = \"off\"\n"

func TestBinding(t *testing.T) {
	first, second := resolve(t, admin), resolve(t, admin)
	if b := bind(t, first, Held{}); !b.Take() || first.Sockets.Len() != 1 || first.Admin.Len() != 1 {
		t.Fatalf("%+v", first)
	}
	held := Held{Sockets: []*socket.Set{first.Sockets}, Admin: []*socket.Set{first.Admin}}
	if b := bind(t, second, held); !b.Take() || second.Sockets.URLs()[0] != first.Sockets.URLs()[0] || second.Admin.URLs()[0] != first.Admin.URLs()[0] {
		t.Errorf("%v and %v are not those that are held", second.Sockets.URLs(), second.Admin.URLs())
	}
	third := resolve(t, admin)
	b := bind(t, third, held)
	first.Sockets.Close()
	if b.Take() || third.Sockets != nil || third.Admin != nil {
		t.Error("it has sockets that are gone")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	first.Admin.Close()
}

// What the service manager passed wins over bind, and not over bind_slot.
func TestBindingOfPassed(t *testing.T) {
	address, err := socket.Parse("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	passed, err := socket.Open([]socket.Address{address}, socket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer passed.Close()
	dir := t.TempDir()
	r := resolve(t, fmt.Sprintf("bind_slot = [%q]\n", "unix:"+dir+"/{slot}"))
	if b := bind(t, r, Held{Passed: passed, Control: true, Slots: []int{0, 2, 0}}); !b.Take() || r.Admin != nil {
		t.Errorf("%+v", r)
	}
	own := r.Sockets.Without(passed)
	defer own.Close()
	want := []string{passed.URLs()[0], "unix://" + dir + "/0", "unix://" + dir + "/2"}
	if !slices.Equal(r.Sockets.URLs(), want) || own.Len() != 2 || !slices.Equal(r.Binds(), []string{want[0], "unix:" + dir + "/{slot}"}) {
		t.Errorf("%v, of which its own are %v, want %v", r.Sockets.URLs(), own.URLs(), want)
	}
}

func TestWarnings(t *testing.T) {
	core, log := observer.New(zap.DebugLevel)
	logger := zap.New(core)
	said := func() (all []string) {
		for _, e := range log.TakeAll() {
			all = append(all, e.Message)
		}
		return all
	}
	r := resolve(t, "workers = 1\nmax_requests = 10\n")
	r.Warnings = []string{"doubtful"}
	r.Memory.Warnings = []string{"little memory"}
	next := resolve(t, "workers = 1\n")
	next.Memory.Warnings = []string{"little memory", "no swap"}
	r.Warn(logger, r)
	if got, want := said(), []string{"doubtful", "little memory"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	next.Warn(logger, r)
	if got, want := said(), []string{"no swap"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, warn := range []func(){func() { r.WarnPlain(logger) }, func() { r.WarnTooLow(logger) }} {
		warn()
		warn()
		if got := said(); len(got) != 1 {
			t.Errorf("%q is to be said once", got)
		}
	}
}

func TestKnown(t *testing.T) {
	k := Known{All: map[int]*Revision{}}
	for n := 1; n <= 3; n++ {
		r := resolve(t, strings.Repeat("[log]\naccess_file = \"/dev/null\"\n", n%2))
		r.Number = n
		k.Add(r)
	}
	if dropped := k.Drop(map[int]bool{2: true}); len(dropped) != 2 || len(k.All) != 1 || k.Last != 3 {
		t.Errorf("%v, %+v", dropped, k)
	}
	if k.LogAccess() {
		t.Error("that which is left has no access log")
	}
}
