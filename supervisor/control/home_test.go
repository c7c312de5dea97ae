//go:build linux

package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHomeOf(t *testing.T) {
	h := HomeOf([]string{"HOME=/x", "XDG_RUNTIME_DIR=/run/user/7"})
	want := "/run/user/7/gosuper"
	if os.Geteuid() == 0 {
		want = "/run/gosuper"
	}
	if h.UID != os.Geteuid() || h.Dir != want {
		t.Errorf("%+v, want %s", h, want)
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		home Home
		want []string
	}{
		{Home{0, "/run/gosuper"}, []string{"/run/gosuper/agents.sock", "@gosuper/0/agents"}},
		{Home{7, "/run/user/7/gosuper"}, []string{"/run/user/7/gosuper/agents.sock", "@gosuper/7/agents"}},
		{Home{7, ""}, []string{"@gosuper/7/agents"}},
	} {
		if got := c.home.Addresses("agents"); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.home, got, c.want)
		}
	}
}

// TestSpare: what is spare for a name is another address each time, and is found
// by that name.
func TestSpare(t *testing.T) {
	h := Home{UID: 7}
	first, second := h.Spare("two words"), h.Spare("two words")
	if first == second || len(first) > 107 || h.nameAt(first) != "two words" || !strings.HasPrefix(first, "@gosuper/7/") {
		t.Errorf("%q and %q, of the name %q", first, second, h.nameAt(first))
	}
}

// TestMakeDirIsSafe: a folder in which others could put a socket is refused.
func TestMakeDirIsSafe(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		prepare func(path string) error
		good    bool
	}{
		"new":         {func(string) error { return nil }, true},
		"own":         {func(path string) error { return os.Mkdir(path, 0o755) }, true},
		"for all":     {func(path string) error { os.Mkdir(path, 0o700); return os.Chmod(path, 0o777) }, false},
		"for a group": {func(path string) error { os.Mkdir(path, 0o700); return os.Chmod(path, 0o770) }, false},
		"a file":      {func(path string) error { return os.WriteFile(path, nil, 0o600) }, false},
		"a symlink":   {func(path string) error { return os.Symlink(dir, path) }, false},
	} {
		h := Home{UID: os.Geteuid(), Dir: filepath.Join(dir, name)}
		if err := c.prepare(h.Dir); err != nil {
			t.Fatal(err)
		}
		if err := h.MakeDir(); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := Home{UID: os.Geteuid() + 1, Dir: filepath.Join(dir, "own")}
	if err := h.MakeDir(); err == nil || !strings.Contains(err.Error(), "only user") {
		t.Errorf("the folder of another user: %v", err)
	}
}

func TestFind(t *testing.T) {
	h := Home{UID: os.Geteuid(), Dir: filepath.Join(t.TempDir(), "[odd] name")}
	if err := os.Mkdir(h.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	find := func() (addresses []string) { // without whatever else of this user runs here
		found, _ := h.Find(t.Context())
		for _, f := range found {
			if f.Address[0] != '@' {
				addresses = append(addresses, f.Address)
			}
		}
		return addresses
	}
	if found := find(); len(found) > 0 {
		t.Errorf("in an empty folder there is %q", found)
	}
	for _, name := range []string{"a.sock", "b.sock", "stale.sock", "c.other"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(h.Dir, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		if name == "stale.sock" {
			l.Close()
		} else {
			defer l.Close()
		}
	}
	// Both are this process, so that one is taken for the other's new address.
	want := []string{filepath.Join(h.Dir, "a.sock")}
	if found := find(); !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	for name, want := range map[string]int{"a": 1, "b": 1, "stale": 0, "c": 0, "none": 0} {
		found, elsewhere := h.FindNamed(t.Context(), name)
		if len(found) != want || len(elsewhere) > 0 || want > 0 && (found[0] != Found{name, filepath.Join(h.Dir, name+".sock"), os.Getpid()}) {
			t.Errorf("of the name %s are found %+v, elsewhere %q", name, found, elsewhere)
		}
	}
	h.UID++
	if found := find(); len(found) > 0 {
		t.Errorf("in the home of another user there is %q", found)
	}
}

// TestHomeBelievesItsUser: what listens at an automatic address is a master only
// if the user of the home runs it, whoever asks.
func TestHomeBelievesItsUser(t *testing.T) {
	address := serve(t, NewHandler(&fake{}))
	for _, h := range []Home{{UID: os.Geteuid()}, {UID: os.Geteuid() + 1}} {
		own := h.UID == os.Geteuid()
		if found, _ := h.living(t.Context(), []string{address}); (len(found) == 1) != own {
			t.Errorf("user %d: found are %+v", h.UID, found)
		}
		_, err := h.Client(address).Status(t.Context(), false)
		if _, refused := errors.AsType[*Unreachable](err); own && err != nil || !own && (!refused || !errors.Is(err, fs.ErrPermission)) {
			t.Errorf("user %d: %v", h.UID, err)
		}
	}
}

// TestNear: a process is near that this one sees under as many ids as itself.
// What /proc cannot tell is believed.
func TestNear(t *testing.T) {
	for pid, want := range map[int]bool{os.Getpid(): true, os.Getppid(): true, 1: true, -1: true, 1 << 30: true, 0: false} {
		if (peer{pid: pid}).near() != want {
			t.Errorf("process %d: near: %t", pid, !want)
		}
	}
}

func TestFindAbstract(t *testing.T) {
	table := filepath.Join(t.TempDir(), "unix")
	text := `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 29103 /run/dbus/system_bus_socket
0000000000000000: 00000002 00000000 00010000 0001 01 35391 @gosuper/7/agents
0000000000000000: 00000003 00000000 00000000 0001 03 35392 @gosuper/7/agents
0000000000000000: 00000002 00000000 00010000 0001 01 35393 @gosuper/7/two words
0000000000000000: 00000002 00000000 00010000 0001 01 35396 @gosuper/7/agents/x1
0000000000000000: 00000002 00000000 00010000 0001 01 35396 @gosuper/7/a/b/c
0000000000000000: 00000002 00000000 00010000 0001 01 35396 @gosuper/7//b
0000000000000000: 00000002 00000000 00010000 0001 01 35396 @gosuper/7/a/
0000000000000000: 00000002 00000000 00010000 0001 01 35397 @gosuper/7/\x1b[2J
0000000000000000: 00000002 00000000 00010000 0001 01 35398 @gosuper/7/
0000000000000000: 00000002 00000000 00010000 0001 01 35399 @gosuper/7/TOOLONG
0000000000000000: 00000002 00000000 00010000 0001 01 35394 @gosuper/77/others
0000000000000000: 00000002 00000000 00010000 0001 01 35395
`
	text = strings.NewReplacer(`\x1b`, "\x1b", "TOOLONG", strings.Repeat("x", maxName+1)).Replace(text)
	if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"@gosuper/7/agents", "@gosuper/7/two words", "@gosuper/7/agents/x1"}
	if found := (Home{UID: 7}).findAbstract(table); !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if found := (Home{UID: 7}).findAbstract(table + "missing"); len(found) > 0 {
		t.Errorf("where there is no table there is %q", found)
	}
}
