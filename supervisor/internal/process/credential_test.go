//go:build linux

package process

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLookupCredential(t *testing.T) {
	needRoot(t)
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	nobodyGroup, err := user.LookupGroupId(nobody.Gid)
	if err != nil {
		t.Skip(err)
	}
	uid, gid := number(t, nobody.Uid), number(t, nobody.Gid)
	nobodyEnv := []string{"HOME=" + nobody.HomeDir, "USER=nobody", "LOGNAME=nobody"}
	numberEnv := []string{"HOME=/", "USER=54321", "LOGNAME=54321"}
	for _, c := range []struct {
		user, group string
		want        *Credential
		env         []string
	}{
		{"", "", nil, nil},
		{"nobody", "", &Credential{uid, gid, []uint32{gid}}, nobodyEnv},
		{nobody.Uid, "", &Credential{uid, gid, []uint32{gid}}, nobodyEnv},
		{"nobody", "54322", &Credential{uid, 54322, []uint32{54322}}, nobodyEnv},
		{"54321", "", &Credential{54321, 54321, []uint32{54321}}, numberEnv},
		{"54321", nobodyGroup.Name, &Credential{54321, gid, []uint32{gid}}, numberEnv},
		{"", nobodyGroup.Name, &Credential{0, gid, []uint32{gid}}, nil},
	} {
		t.Run(c.user+":"+c.group, func(t *testing.T) {
			got, env, err := LookupCredential(c.user, c.group)
			if err != nil {
				t.Fatal(err)
			}
			if (got == nil) != (c.want == nil) || got != nil &&
				(got.Uid != c.want.Uid || got.Gid != c.want.Gid || !slices.Equal(got.Groups, c.want.Groups)) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if !slices.Equal(env, c.env) {
				t.Errorf("environment %q, want %q", env, c.env)
			}
		})
	}
}

// (uid_t)-1 means "do not change" to the kernel, so it would leave root root.
func TestLookupCredentialRefuses(t *testing.T) {
	for _, c := range []struct{ user, group string }{
		{"no such user", ""}, {"", "no such group"}, {"4294967295", ""}, {"-1", ""}, {"4294967296", ""}, {"", "4294967295"},
	} {
		if cred, _, err := LookupCredential(c.user, c.group); err == nil {
			t.Errorf("user %q and group %q gave %+v", c.user, c.group, cred)
		}
	}
}

// The supplementary groups are those of the group file.
func TestLookupCredentialGroups(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	ids, err := me.GroupIds()
	if err != nil {
		t.Skip(err)
	}
	cred, _, err := LookupCredential(me.Username, "")
	if err != nil {
		t.Fatal(err)
	}
	if cred == nil {
		if os.Geteuid() == 0 {
			t.Fatal("root cannot become root")
		}
		return
	}
	for _, id := range ids {
		if !slices.Contains(cred.Groups, number(t, id)) {
			t.Errorf("group %s is missing in %v", id, cred.Groups)
		}
	}
}

// Who may not change users is told so before the first worker, and what is missing.
func TestCredentialPermitted(t *testing.T) {
	needRoot(t)
	for _, c := range []struct {
		user, group string
		lacks       int
		want        string
	}{
		{"54321", "", unix.CAP_CHOWN, "needs a master that is root: this process has no CAP_CHOWN"},
		{"54321", "", unix.CAP_SETUID, "needs a master that is root: this process has no CAP_SETUID"},
		{"", "54321", unix.CAP_SETGID, "needs a master that is root: this process has no CAP_SETGID"},
		{"", "54321", unix.CAP_SETUID, "<nil>"},
		{"", "", unix.CAP_SETGID, "<nil>"},
	} {
		said := make(chan string)
		go func() {
			runtime.LockOSThread() // and the thread ends with the function
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var has [2]unix.CapUserData
			err := unix.Capget(&header, &has[0])
			has[0].Effective &^= 1 << c.lacks
			if err = cmp.Or(err, unix.Capset(&header, &has[0])); err == nil {
				var cred *Credential
				if cred, _, err = LookupCredential(c.user, c.group); err == nil {
					err = cred.Permitted()
				}
			}
			said <- fmt.Sprint(err)
		}()
		if got := <-said; got != c.want {
			t.Errorf("user %q and group %q: %s, want %s", c.user, c.group, got, c.want)
		}
	}
}

func number(t *testing.T, s string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}
