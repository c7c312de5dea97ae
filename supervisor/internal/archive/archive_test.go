//go:build linux

package archive

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
	"github.com/gosuper/gosuper/supervisor/internal/loop"
	"github.com/gosuper/gosuper/supervisor/internal/state"
)

// owned runs acts as the owner of an archive would, in a bubble where waiting takes no
// time.
func owned(t *testing.T, c *config.Config, acts func(a *Archive, do func(func()), says *observer.ObservedLogs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, says := observer.New(zap.InfoLevel)
		a, l, end := &Archive{}, loop.New(), make(chan struct{})
		a.Attach(Options{Log: zap.New(core), Loop: l, InForce: func() *config.Config { return c }})
		go func() {
			for {
				select {
				case do := <-l.C:
					do()
				case <-end:
					return
				}
			}
		}()
		acts(a, func(do func()) {
			l.Report(do)
			synctest.Wait()
		}, says)
		close(end)
	})
}

func at(n int) incidents.Incident {
	return incidents.Incident{Worker: n, PID: 100 + n, At: time.Unix(int64(n), 5).UTC(), Reason: "crash", Status: "exit status 1", Lines: []string{fmt.Sprint(n)}}
}

func in(dir string, keep int) *config.Config {
	return &config.Config{Name: "api", Incidents: config.Incidents{Dir: dir, Keep: keep}}
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestKeep: one file each, the oldest go, and whatever else is there stays.
func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "incidents")
	owned(t, in(dir, 3), func(a *Archive, do func(func()), says *observer.ObservedLogs) {
		do(a.Open)
		others := []string{"api-two-19700101T000000.000000000Z-worker-1.json", "api.json", "other-19700101T000000.000000000Z-worker-1.json"}
		for _, name := range others {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		unfinished := ".api-19700101T000000.000000000Z-worker-1.json.ABC"
		if err := os.WriteFile(filepath.Join(dir, unfinished), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for n := 1; n < 5; n++ {
			do(func() { a.Enter(at(n)) })
		}
		loader := at(0)
		loader.At = time.Unix(9, 0)
		do(func() { a.Enter(loader) })
		want := append(slices.Clone(others), "api-19700101T000003.000000005Z-worker-3.json", "api-19700101T000004.000000005Z-worker-4.json", "api-19700101T000009.000000000Z-loader-100.json")
		slices.Sort(want)
		if got := names(t, dir); !slices.Equal(got, want) {
			t.Errorf("there are\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		text, err := os.ReadFile(filepath.Join(dir, "api-19700101T000003.000000005Z-worker-3.json"))
		var got struct {
			Name string
			control.Incident
		}
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil || got.Name != "api" || got.Worker != 3 || got.LastLines[0] != "3" || got.At != "1970-01-01T00:00:03.000000005Z" || strings.Contains(string(text), "ago_seconds") {
			t.Errorf("%s, %v", text, err)
		}
		if says.Len() > 0 {
			t.Errorf("it says %v", says.All())
		}
	})
}

// TestNowhere: without a folder nothing is written, and nothing waits.
func TestNowhere(t *testing.T) {
	c := in("", 1)
	owned(t, c, func(a *Archive, do func(func()), _ *observer.ObservedLogs) {
		do(a.Open)
		do(func() { a.Enter(at(1)) })
		if len(a.waiting)+len(a.writing) > 0 {
			t.Errorf("%+v waits for a folder that there will never be", a.waiting)
		}
	})
}

// TestLinks: what somebody has put in the place of a file is replaced, and nothing is
// written through it.
func TestLinks(t *testing.T) {
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, nameOf("api", at(1)))); err != nil {
		t.Fatal(err)
	}
	owned(t, in(dir, 9), func(a *Archive, do func(func()), _ *observer.ObservedLogs) {
		do(func() { a.Enter(at(1)) })
	})
	if text, err := os.ReadFile(victim); string(text) != "mine" {
		t.Errorf("the file behind the link has %q, %v", text, err)
	}
	if info, err := os.Lstat(filepath.Join(dir, nameOf("api", at(1)))); err != nil || !info.Mode().IsRegular() {
		t.Errorf("there is %v, %v", info, err)
	}
}

// TestTrouble: what does not work is said once, and again after it has worked.
func TestTrouble(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "not", "there")
	owned(t, in(dir, 9), func(a *Archive, do func(func()), says *observer.ObservedLogs) {
		do(a.Open)
		do(func() { a.Enter(at(1)) })
		if says.Len() != 1 {
			t.Errorf("it says %v, want one line", says.All())
		}
		if err := os.Mkdir(filepath.Join(above, "not"), 0o700); err != nil {
			t.Fatal(err)
		}
		do(func() { a.Enter(at(2)) })
		if got := names(t, dir); len(got) != 1 {
			t.Errorf("there are %q", got)
		}
		if err := os.RemoveAll(filepath.Join(above, "not")); err != nil {
			t.Fatal(err)
		}
		do(func() { a.Enter(at(3)) })
		if says.Len() != 2 {
			t.Errorf("it says %v, want another line", says.All())
		}
	})
}

// TestSlow: a file system that does not answer keeps nobody waiting, what waits is
// bounded, and the next image goes on with it.
func TestSlow(t *testing.T) {
	dir := t.TempDir()
	owned(t, in(dir, 9999), func(a *Archive, do func(func()), says *observer.ObservedLogs) {
		answer := make(chan struct{})
		do(func() {
			a.options.Loop.Send(func() loop.Work {
				return func() func() { <-answer; return func() {} }
			})
		})
		for n := range 2 * incidents.Most {
			do(func() { a.Enter(at(n + 1)) })
		}
		if got := names(t, dir); len(got) > 0 || len(a.waiting) != incidents.Most {
			t.Errorf("there are %q, and %d wait", got, len(a.waiting))
		}
		next := &Archive{}
		text, _, err := state.Write(a, time.Unix(0, 0))
		if err == nil {
			_, err = state.Read(text, next, time.Unix(0, 0))
		}
		if err != nil {
			t.Fatal(err)
		}
		close(answer)
		synctest.Wait()
		if got := names(t, dir); len(got) != incidents.Most+1 {
			t.Errorf("there are %d", len(got))
		}
		if says.Len() != 1 || says.All()[0].ContextMap()["incidents"] != int64(incidents.Most-1) {
			t.Errorf("it says %v", says.All())
		}
		for _, name := range names(t, dir) {
			os.Remove(filepath.Join(dir, name))
		}
		next.Attach(a.options)
		do(next.Resume)
		if got := names(t, dir); len(got) != incidents.Most+1 {
			t.Errorf("after the upgrade there are %d", len(got))
		}
	})
}
