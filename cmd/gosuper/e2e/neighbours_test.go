//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gosuper/gosuper/supervisor/control"
)

// What a master says of its control socket: that there is none, and that it is
// not where its name says.
const (
	noControl = "no control socket: gosuper status and its like cannot reach this master; say where it may be, --control PATH, or off"
	movedOn   = "the address of the control socket is taken, by another master of this name or by somebody else: it has another one, at which gosuper status and its like find it"
)

// pod is containers that share a network and a user, as far as that matters here:
// each has processes of its own.
type pod struct {
	t    *testing.T
	user person
}

// newPod makes a pod whose user has no runtime folder, as in an image with nothing
// but the program.
func newPod(t *testing.T) pod {
	needRoot(t)
	need(t, "unshare")
	need(t, "nsenter")
	user, _ := mortal(t)
	user.env = []string{"XDG_RUNTIME_DIR=", "HOME="}
	return pod{t, user}
}

// container is a command that runs another in a new container.
func (p pod) container() []string {
	return append([]string{"unshare", "--pid", "--mount", "--fork", "--mount-proc"}, p.user.before...)
}

// start starts a master in a container of its own.
func (p pod) start(lines ...string) *master {
	p.t.Helper()
	m := start(p.t, launch{before: p.container(), env: p.user.env, config: config(lines...)})
	m.wait(p.t, 0, "ready", nil)
	pid := children(p.t, m.pid())[0]
	p.t.Cleanup(func() {
		select {
		case <-m.exited:
		default:
			syscall.Kill(pid, syscall.SIGKILL) // unshare does not pass on its own end
		}
	})
	return m
}

// within is the user in the container of a master.
func (p pod) within(m *master) person {
	p.t.Helper()
	pid := strconv.Itoa(children(p.t, m.pid())[0])
	inside := p.user
	inside.before = append([]string{"nsenter", "--target", pid, "--pid", "--mount"}, p.user.before...)
	return inside
}

// alone is the user in a container in which nothing else runs.
func (p pod) alone() person {
	alone := p.user
	alone.before = p.container()
	return alone
}

// tells says what status tells in JSON.
func (p person) tells(args ...string) (st control.Status) {
	p.t.Helper()
	out, errs, code := p.does(append([]string{"status", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &st); err != nil || code != 0 {
		p.t.Errorf("gosuper status %s ended with %d: %s", strings.Join(args, " "), code, errs)
	}
	return st
}

// The addresses of a pod belong to all of its containers: a command means the
// master of its own container, whatever others have, and every master can be asked.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	lines := []string{`name = "agent"`, `control = { socket = "auto" }`}
	first, second := p.start(append(lines, admin("127.0.0.1:0"))...), p.start(lines...)
	for _, m := range []*master{first, second} {
		if refused := m.all(0, noControl, nil); len(refused) > 0 {
			t.Errorf("it says %s", refused[0].line)
		}
		for _, args := range [][]string{nil, {"-n", "agent"}, {"-c", m.file}} {
			if st := p.within(m).tells(args...); !slices.Equal(st.Binds, []string{"tcp://" + m.addr()}) {
				t.Errorf("status %q is that of %q, not of the container's master", args, st.Binds)
			}
		}
	}
	given := second.wait(t, 0, movedOn, nil).str("address")
	if len(first.all(0, movedOn, nil)) > 0 {
		t.Error("the first says that its address is taken")
	}

	// Where there is no master neighbours are none.
	file := filepath.Join(p.user.dir, "supervisor.toml")
	if err := os.WriteFile(file, []byte("name = \"agent\"\n"+admin(first.adminAddr())+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	none := "gosuper: error: no master of user " + p.user.uid() + " is running\ngosuper: hint: .*--control @gosuper/.*\n"
	for _, args := range [][]string{{"status"}, {"stop"}, {"health"}, {"health", "--ready"}, {"reload"}} {
		p.alone().expects(1, "", none, args...)
	}
	p.user.expects(1, "", none, "status")
	elsewhere := "gosuper: error: cannot reach a master at @gosuper/.*: it runs in another pid namespace\ngosuper: hint: .*--control @gosuper/.*\n"
	p.alone().expects(1, "", elsewhere, "stop", "-c", file)
	p.alone().expects(1, "", elsewhere, "status", "-n", "agent")

	// Not even at the very address of the admin listener.
	p.alone().expects(1, "", "gosuper: error: the master does not run: what answers at its admin listener .* is somebody else.*", "health", "-c", file)
	if err := os.WriteFile(file, []byte("control.socket = \"off\"\n"+admin(first.adminAddr())+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.alone().expects(1, "", "gosuper: error: the master does not run: .*", "health", "-c", file)
	p.within(first).expects(0, "ok\n", "", "health", "-c", file)
	p.within(second).expects(1, "", "gosuper: error: the master does not run: .*", "health", "-c", file)

	// An address that somebody gives is meant.
	if st := p.user.tells("--control", given); !slices.Equal(st.Binds, []string{"tcp://" + second.addr()}) {
		t.Errorf("at %s there is %q", given, st.Binds)
	}
	// From outside, as nobody outlives the master in a container whose first process it is.
	p.user.expects(0, "stopped\n", "", "stop", "--wait", "--control", given)
	if status := second.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	p.within(first).expects(0, "ready, 2 of 2 workers ready\n", "", "health", "--ready")
}

// A folder of sockets that containers share, as a volume, tells no more.
func TestNeighboursOfAFolder(t *testing.T) {
	t.Parallel()
	p := newPod(t)
	p.user.env = []string{"XDG_RUNTIME_DIR=" + p.user.dir}
	lines := []string{`name = "agent"`, `control = { socket = "auto" }`}
	first, second := p.start(lines...), p.start(lines...)
	for _, m := range []*master{first, second} {
		if st := p.within(m).tells(); !slices.Equal(st.Binds, []string{"tcp://" + m.addr()}) {
			t.Errorf("status is that of %q, not of the container's master", st.Binds)
		}
	}
	p.alone().expects(1, "", "gosuper: error: no master of user .*", "health")
	path := filepath.Join(p.user.dir, "gosuper", "agent.sock")
	p.alone().expects(1, "", "gosuper: error: cannot reach a master at "+path+": it runs in another pid namespace\n.*", "stop", "-c", first.file)
}

// Two masters of one name: both can be asked, and neither is taken for the other.
func TestControlOfOneName(t *testing.T) {
	t.Parallel()
	p, how := mortal(t)
	how.config = config(`name = "agent"`, `control = { socket = "auto" }`)
	launched := func() *master {
		m := start(t, how)
		m.wait(t, 0, "ready", nil)
		return m
	}
	first := launched()
	second := launched()
	path, other := filepath.Join(p.dir, "gosuper", "agent.sock"), second.wait(t, 0, movedOn, nil).str("address")
	for address, m := range map[string]*master{path: first, other: second} {
		if st := p.tells("--control", address); st.PID != m.pid() {
			t.Errorf("%s has the master %d, want %d", address, st.PID, m.pid())
		}
	}
	both := fmt.Sprintf("agent .pid %d, %s., agent .pid %d, %s.", first.pid(), path, second.pid(), other)
	for _, args := range [][]string{{"stop"}, {"stop", "-n", "agent"}, {"reload", "-c", second.file}} {
		p.expects(1, "", "gosuper: error: several masters are running: "+both+"\ngosuper: hint: .*--control .*\n", args...)
	}
	p.expects(0, fmt.Sprintf("NAME +PID  STATE +READY +CONTROL\nagent +%d  ready  2 of 2  %s\nagent +%d  ready  2 of 2  %s\n\n.*--control .*\n", first.pid(), path, second.pid(), other), "", "status")
	second.signal(syscall.SIGTERM)
	second.end()
	if st := p.tells("-c", first.file); st.PID != first.pid() {
		t.Errorf("after the second has ended, the socket has the master %d", st.PID)
	}
}

// Who starts the same master twice is told which one has the address.
func TestTwice(t *testing.T) {
	t.Parallel()
	p, how := mortal(t)
	address := freePort(t)
	how.config = config(`name = "first"`, `control = { socket = "auto" }`, `bind = ["`+address+`"]`)
	m := start(t, how)
	m.wait(t, 0, "ready", nil)
	for _, name := range []string{"first", "second"} {
		_, errs, code := p.does("-b", address, "-n", name, "--", "sleep", "1000")
		want := fmt.Sprintf("gosuper: error: cannot listen on %s: address already in use\n"+
			"gosuper: hint: gosuper runs there already, as first (pid %d, %s/gosuper/first.sock): gosuper reload -n first takes over what is new, gosuper stop -n first ends it\n",
			address, m.pid(), p.dir)
		if code != 1 || !strings.HasSuffix(errs, want) {
			t.Errorf("the second ends with %d and says\n%s\nwant\n%s", code, errs, want)
		}
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}
