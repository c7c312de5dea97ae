//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hesitation is how long a developer needs at least between a build and the next
// change. What comes sooner after the end of a build may be taken for its work.
const hesitation = 300 * time.Millisecond

// edit writes a file beside the configuration, which is a change.
func (m *master) edit(name, text string) {
	m.t.Helper()
	path := filepath.Join(filepath.Dir(m.file), name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// followed sees that a change is followed by a reload, for this very file.
func (m *master) followed(name, text string) {
	m.t.Helper()
	<-time.After(hesitation)
	from := m.mark()
	m.edit(name, text)
	m.wait(m.t, from, "changed", match{"file": name})
	m.wait(m.t, from, "reload done", nil)
}

// only sees that nothing but these files changed.
func (m *master) only(t *testing.T, names ...string) {
	t.Helper()
	for _, e := range m.all(0, "changed", nil) {
		if f := e.str("file"); !slices.Contains(names, f) {
			t.Errorf("%s counts as a change", f)
		}
	}
}

// shell is a line of TOML for a build.
func shell(script string) string {
	return strings.Replace(command("sh", "-c", script), "command", "build", 1)
}

// Without anything to build a change is a reload, below folders that come later
// too. What tools and editors write is no change.
func TestReloadFollowsFiles(t *testing.T) {
	t.Parallel()
	m := up(t, "reload = true")
	before := m.workers()
	m.followed("app.py", "1")
	after := m.workers()
	for slot, pid := range before {
		if after[slot] == pid {
			t.Errorf("worker %d is still there", pid)
		}
	}
	for _, name := range []string{".git/index", "node_modules/x/index.js", "__pycache__/app.pyc", ".app.py.swp", "app.py~", "access.log"} {
		m.edit(name, "x")
	}
	m.followed("pkg/new/mod.py", "1")
	m.followed("pkg/new/mod.py", "2")
	m.only(t, "app.py", "pkg/new/mod.py")
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// New code that does not boot is rolled back, and repaired code is tried again.
func TestReloadOfBrokenCode(t *testing.T) {
	t.Parallel()
	script := `if grep -q broken app.py; then echo 'SyntaxError: app.py' >&2; exit 1; fi; exec "$@"`
	m := up(t, "reload = true", command(append([]string{"sh", "-c", `[ -f app.py ] || exec "$@"; ` + script, "sh"}, as("serve")...)...))
	before := m.workers()
	from := m.mark()
	m.edit("app.py", "broken")
	if e := m.wait(t, from, "reload rolled back", nil); !strings.Contains(e.line, "SyntaxError: app.py") {
		t.Errorf("the reason is not in %s", e.line)
	}
	if after := m.workers(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("workers %v, before %v", after, before)
	}
	m.followed("app.py", "fixed")
}

// A build comes before the reload. That it writes into the watched folder is no
// change, and if it fails nothing is replaced.
func TestBuild(t *testing.T) {
	t.Parallel()
	m := up(t, "reload = true", "[watch]", shell(`if grep bad source >&2; then exit 3; fi; cat source >out; echo "$RANDOM" >"chunk-$$"`))
	for i := range 3 {
		m.followed("source", fmt.Sprint(i))
		out, err := os.ReadFile(filepath.Join(filepath.Dir(m.file), "out"))
		if err != nil || string(out) != fmt.Sprint(i) {
			t.Errorf("the build made %q, %v", out, err)
		}
	}
	before := m.workers()
	<-time.After(hesitation)
	from := m.mark()
	m.edit("source", "bad: line 3")
	m.wait(t, from, "build failed, nothing was replaced", match{"status": "exit status 3"})
	if !strings.Contains(m.String(), "\nbad: line 3") {
		t.Error("what the build said is not on stderr")
	}
	if after := m.workers(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("workers %v, before %v", after, before)
	}
	m.followed("source", "good")
	m.only(t, "source")
}

// A file that was there and that each build writes costs one more build, once.
func TestBuildWritesOldFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("out", "old")
	m := up(t, "reload = true", "[watch]", fmt.Sprintf("paths = [%q]", folder), shell(fmt.Sprintf("cd %q; cat source >out", folder)))
	write("source", "1")
	m.wait(t, 0, "the build writes a file: from now on its changes during a build do not count", nil)
	m.await(t, "both reloads", func() bool {
		over := len(m.all(0, "reload done", nil)) + len(m.all(0, "reload superseded", nil))
		return over >= 2 && over == len(m.all(0, "reload started", nil))
	})
	learned := m.mark()
	for i := range 3 {
		from := m.mark()
		write("source", fmt.Sprint(i))
		m.wait(t, from, "reload done", nil)
	}
	if n := len(m.all(learned, "changed", match{"file": filepath.Join(folder, "out")})); n != 0 {
		t.Errorf("what the build writes counted as a change %d times", n)
	}
}

// A build that is out of date is ended: asked to, and killed if it does not want.
func TestBuildIsOutOfDate(t *testing.T) {
	t.Parallel()
	for name, trap := range map[string]string{"ends": "", "does not want to end": "trap '' INT; "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := up(t, "reload = true", "[watch]", shell(trap+`if grep -q slow source; then echo slow >&2; sleep 3600; fi`))
			from := m.mark()
			m.edit("source", "slow")
			m.contains(t, "\nslow\n")
			begin := time.Now()
			m.edit("source", "fast")
			again := m.wait(t, from, "building again", nil)
			t.Logf("ended after %v", time.Since(begin))
			m.wait(t, from, "built", nil)
			if first := m.wait(t, from, "reload started", nil); first.at.Before(again.at) {
				t.Error("the build that was out of date was reloaded")
			}
			m.wait(t, from, "reload done", nil)
		})
	}
}

// A build does not outlive the master.
func TestStopDuringBuild(t *testing.T) {
	t.Parallel()
	m := up(t, "reload = true", "[watch]", shell(`trap '' INT TERM; sleep 3600`))
	m.edit("source", "1")
	m.wait(t, 0, "building", nil)
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	m.gone(late)
}

// A command that does not exist yet is built before the start.
func TestBuildComesFirst(t *testing.T) {
	t.Parallel()
	words := as("serve")
	build := strings.Replace(command("cp", words[0], "server"), "command", "build", 1)
	words[0] = "./server"
	m := up(t, "reload = true", command(words...), "[watch]", build)
	if _, _, err := m.get("/"); err != nil {
		t.Error(err)
	}
	m.signal(syscall.SIGTERM)
	m.end()

	failed := start(t, launch{config: config("reload = true", command(words...), "[watch]", shell("echo no luck >&2; exit 1"))})
	failed.contains(t, "no luck\n")
	failed.contains(t, "gosuper: error: the build failed: exit status 1\n")
	if code := failed.end(); code != 1 {
		t.Errorf("exit status %d", code)
	}
}

// A master that is stopped before it has anything to start leaves no build behind.
func TestFirstBuildEndsWithMaster(t *testing.T) {
	t.Parallel()
	m := start(t, launch{config: config("reload = true", `command = ["./server"]`, "[watch]", shell("echo at work >&2; exec sleep 3600"))})
	m.contains(t, "at work\n")
	m.signal(syscall.SIGTERM)
	m.end()
	m.gone(late)
}

// A reload changes what is watched; nothing is watched without --reload.
func TestWatchOtherFiles(t *testing.T) {
	t.Parallel()
	m := up(t)
	m.edit("a/x", "1")
	m.edit("b/x", "1")
	m.rewrite(config("reload = true", "[watch]", `paths = ["a"]`))
	m.reload()
	m.followed("a/x", "2")
	m.rewrite(config("reload = true", "[watch]", `paths = ["b"]`))
	m.reload()
	seen := m.mark()
	m.edit("a/x", "3")
	m.followed("b/x", "2")
	m.rewrite(config("reload = true", "[watch]", `paths = ["nowhere"]`))
	m.reload()
	m.wait(t, 0, "cannot watch other files", nil)
	m.followed("b/x", "3")
	for _, e := range m.all(seen, "changed", nil) {
		if f := e.str("file"); f != "b/x" {
			t.Errorf("%s counts as a change", f)
		}
	}
}
