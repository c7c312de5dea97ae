//go:build linux

package revision

import (
	"os"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A master that may not start workers of another user says so before it binds anything,
// and whoever only checks the configuration is told of it.
func TestPermitted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for key, text := range map[string]string{"user": `user = "54321"`, "group": `group = "54321"`} {
		const lacks = "needs a master that is root: this process has no CAP_SETGID (start gosuper as root, or leave user and group out: then workers are whoever gosuper runs as)"
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread() // and the thread ends with the function
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var has [2]unix.CapUserData
			if err := unix.Capget(&header, &has[0]); err != nil {
				t.Error(err)
			}
			has[0].Effective &^= 1 << unix.CAP_SETGID
			if err := unix.Capset(&header, &has[0]); err != nil {
				t.Error(err)
			}
			c := load(t, text+"\n")
			if _, err := Prepare(c); err == nil || err.Error() != key+": "+lacks {
				t.Errorf("%s: a reload says %v", key, err)
			}
			if found, err := Check(c); err != nil || !slices.Contains(found.Warnings, key+": "+lacks) {
				t.Errorf("%s: checked, with %q and %v", key, found.Warnings, err)
			}
		}()
		<-done
	}
}
