//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/supervisor/control"
)

// Twenty upgrades leave nothing behind in the master.
func TestUpgradesLeakNothing(t *testing.T) {
	t.Parallel()
	var goroutines [2]int
	for i, n := range []int{1, tenth(20) + 1} {
		m, _ := upgradable(t, "[log]", `access_file = "-"`)
		m.upgrade()
		early := m.atRest()
		for range n - 1 {
			m.upgrade()
		}
		late := m.atRest()
		if !slices.Equal(early.descriptors, late.descriptors) {
			t.Errorf("descriptors after an upgrade: %v\nafter %d: %v", early.descriptors, n, late.descriptors)
		}
		goroutines[i] = m.goroutines()
	}
	t.Logf("goroutines after one upgrade: %d, after %d: %d", goroutines[0], tenth(20)+1, goroutines[1])
	if goroutines[0] != goroutines[1] {
		t.Errorf("goroutines after one upgrade: %d, after %d: %d", goroutines[0], tenth(20)+1, goroutines[1])
	}
}

// Workers that earlier images started live through the upgrades, and end with
// the process of the master.
func TestWorkersOfEarlierImages(t *testing.T) {
	t.Parallel()
	m, _ := upgradable(t, "workers = 1")
	for n := range 3 {
		m.upgrade()
		from := m.mark()
		m.signal(syscall.SIGTTIN)
		m.wait(t, from, "worker ready", match{"slot": n + 1})
	}
	workers := m.workers()
	if len(workers) != 4 {
		t.Fatalf("workers %v, want four", workers)
	}
	for slot, pid := range workers {
		if err := syscall.Kill(pid, 0); err != nil {
			t.Errorf("the worker of slot %d: %v", slot, err)
		}
	}
	m.signal(syscall.SIGKILL)
	m.end()
	m.gone(late)
}

// What happens in the moment of the exec is noticed, if it is the end of a worker,
// and may be dropped, if it is a signal, but ends nothing.
func TestUpgradeGap(t *testing.T) {
	t.Parallel()
	m, _ := upgradable(t)
	dropped := 0
	for range tenth(30) + 1 {
		from := m.mark()
		pid := m.workers()[0]
		m.signal(syscall.SIGUSR2)
		m.wait(t, from, "upgrading", nil)
		// They may come before, in or after the gap.
		syscall.Kill(pid, syscall.SIGKILL)
		for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGTTIN} {
			m.signal(s)
		}
		m.await(t, "the upgrade or its refusal", func() bool {
			return len(m.all(from, "upgraded", nil))+len(m.all(from, "upgrade refused, nothing was changed", nil)) > 0
		})
		m.await(t, "its end", func() bool { // which a reload may be quicker to order
			return len(m.all(from, "worker crashed", match{"pid": pid}))+len(m.all(from, "worker gone", match{"pid": pid})) > 0
		})
		m.signal(syscall.SIGTTOU)
		m.wait(t, from, "signal", match{"signal": "SIGTTOU"})
		if len(m.all(from, "signal", match{"signal": "SIGTTIN"})) == 0 {
			dropped++
			m.signal(syscall.SIGTTIN)
			m.wait(t, from, "signal", match{"signal": "SIGTTIN"})
		}
		m.await(t, "both slots to be served", func() bool { return len(m.workers()) == 2 })
		m.await(t, "the reload to be over", func() bool {
			// It begins some time after the signal was heard.
			return len(m.all(from, "signal", match{"signal": "SIGHUP"})) == len(m.all(from, "reload done", nil))
		})
	}
	t.Logf("%d of %d signals were dropped", dropped, tenth(30)+1)
}

// Deadlines are kept by whoever is there then.
func TestUpgradeWhileDraining(t *testing.T) {
	t.Parallel()
	m, _ := upgradable(t, command(as("deaf")...), `ready = "notify"`, "drain_timeout = 2")
	m.signal(syscall.SIGTTOU)
	begin := m.wait(t, 0, "worker draining", nil)
	from := m.mark()
	m.upgrade()
	end := m.wait(t, from, "killing worker", match{"worker": begin.num("worker"), "reason": "grace"})
	if took := end.at.Sub(begin.at); took < 1900*time.Millisecond || took > 2*time.Second+late {
		t.Errorf("the drain took %v, want 2s", took)
	}
	m.wait(t, from, "worker gone", match{"worker": begin.num("worker"), "reason": "scale"})
}

// The pid file stays locked and the unix socket stays where it is.
func TestUpgradeKeepsFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, pidfile := filepath.Join(dir, "s"), filepath.Join(dir, "pid")
	m, _ := upgradable(t, fmt.Sprintf("bind = [%q]", "unix:"+path), fmt.Sprintf("pidfile = %q", pidfile))
	m.upgrade()
	m.upgrade()
	if answer, _, err := m.get("/"); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("after the upgrade: %v, %v", answer, err)
	}
	second := start(t, launch{config: config(fmt.Sprintf("pidfile = %q", pidfile))})
	second.contains(t, fmt.Sprintf("held by a running master (pid %d)", m.pid()))
	if code := second.end(); code != 1 {
		t.Errorf("a second master: exit status %d", code)
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for _, file := range []string{path, pidfile} {
		if _, err := os.Lstat(file); err == nil {
			t.Errorf("%s is left", file)
		}
	}
}

// The command returns when the new version runs, or says why it does not.
func TestUpgradeCommand(t *testing.T) {
	t.Parallel()
	other, err := next()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "gosuper")
	install(t, gosuper, binary)
	// Without a runtime folder the control socket is one that has no file.
	p := person{t: t, env: []string{"XDG_RUNTIME_DIR=", "HOME="}, dir: t.TempDir()}
	how := launch{env: p.env, binary: binary, config: config(fmt.Sprintf("name = \"upgraded-%d\"", os.Getpid()), `control = { socket = "auto" }`)}
	if os.Getuid() == 0 {
		// Nobody else on the machine has this id.
		uid := fmt.Sprint(1_500_000 + os.Getpid())
		p.before = []string{need(t, "setpriv"), "--reuid", uid, "--regid", uid, "--clear-groups"}
		how.before = p.before
		os.Chmod(filepath.Dir(binary), 0o755)
		os.Chmod(filepath.Dir(filepath.Dir(binary)), 0o755)
	}
	m := start(t, how)
	os.Chmod(filepath.Dir(m.file), 0o755)
	m.wait(t, 0, "ready", nil)
	install(t, other, binary)
	p.expects(0, "upgraded from .* to "+nextVersion+"\n", "", "upgrade", "-c", m.file)
	p.expects(0, ".* ready .*", "", "status", "-c", m.file)
	m.upgrade()
	m.rewrite(how.config + "workerz = 2\n")
	p.expects(1, "", "gosuper: error: the upgrade was refused, and nothing was changed: .*exit status 2\n.*workerz.*", "upgrade", "-c", m.file)
}

// Who waits for the end of a master is not disturbed by an upgrade that comes
// between, wherever it has got to.
func TestStopDuringUpgrade(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"", "upgrade: trying the new version", "upgrading", "upgraded"} {
		line, path := controlled(t)
		m, _ := upgradable(t, line)
		from := m.mark()
		m.signal(syscall.SIGUSR2)
		if point != "" {
			m.wait(t, from, point, nil)
		}
		if err := control.NewClient(path).Stop(t.Context(), false, true); err != nil {
			t.Errorf("stop at %q: %v", point, err)
		}
		if code := m.end(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	}
}

// A fleet whose workers are replaced all the time can be upgraded as well.
func TestUpgradeWhileWorkersStart(t *testing.T) {
	t.Parallel()
	line, path := controlled(t)
	m, _ := upgradable(t, "workers = 4", line)
	c := control.NewClient(path)
	stop := make(chan struct{})
	var recycling sync.WaitGroup
	recycling.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_, _ = c.Recycle(t.Context(), control.Recycling{All: true}) // while it is being upgraded there may be nobody to ask
			}
		}
	})
	for range tenth(10) + 2 {
		from := m.mark()
		m.signal(syscall.SIGUSR2)
		m.wait(t, from, "upgraded", nil)
	}
	close(stop)
	recycling.Wait()
	if refused := m.all(0, "upgrade refused, nothing was changed", nil); len(refused) > 0 {
		t.Errorf("%d upgrades were refused: %v", len(refused), refused[0].fields)
	}
	if started := len(m.all(0, "worker started", nil)); started <= 4 {
		t.Error("no worker was replaced")
	}
	m.reload()
}
