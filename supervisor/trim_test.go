//go:build linux

package supervisor

import (
	"syscall"
	"testing"
	"time"
)

// Memory is given back when the start is over, and when a reload is.
func TestMasterTrimsWhatIsOver(t *testing.T) {
	play(t, "workers = 1\nready = \"1s\"\n", silent, func(st *stage) {
		if n := st.trims.Load(); n != 0 {
			t.Errorf("memory was given back %d times before anything was over", n)
		}
		st.pass(2 * time.Second)
		if n := st.trims.Load(); n != 1 {
			t.Errorf("memory was given back %d times after the start", n)
		}
		st.kill(syscall.SIGHUP)
		st.pass(2 * time.Second)
		if n := st.trims.Load(); n != 2 {
			t.Errorf("memory was given back %d times after the start and a reload", n)
		}
		st.exit(1, 0)
		st.kill(syscall.SIGHUP)
		st.pass(time.Second / 2)
		st.kill(syscall.SIGHUP)
		st.exit(3, 0)
		st.pass(2 * time.Second)
		if n := st.trims.Load(); n != 4 {
			t.Errorf("memory was given back %d times after another reload, and one that it superseded", n)
		}
		st.kill(syscall.SIGINT)
		st.pass(time.Second)
		st.exit(2, 0)
		st.exit(4, 0)
		<-st.result
	})
}
