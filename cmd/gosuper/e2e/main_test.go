//go:build linux

package e2e

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// examples are the folders that people copy.
const examples = "../../../examples"

// The programs under test, in a folder that every user may enter.
var (
	gosuper  string // the master
	self     string // this test binary, to be run as a worker
	plain    string // testdata/plain
	agent    string // examples/agent-server
	programs string // where they are
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "as" {
		os.Exit(play(os.Args[2], os.Args[3:]))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	flag.Parse()
	// Tests that may run beside others mostly wait: more of them fit than there are
	// processors.
	if parallel := flag.Lookup("test.parallel").Value; parallel.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		parallel.Set(strconv.Itoa(4 * runtime.GOMAXPROCS(0)))
	}
	if inGuest() {
		gosuper, self, programs = filepath.Join(guestPrograms, "gosuper"), os.Args[0], guestPrograms
		return m.Run()
	}
	if signal.Ignored(syscall.SIGHUP) { // these tests run under nohup, but their masters do not
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programs)
	code := m.Run()
	if code == 0 && complete() {
		for name := range roles {
			if _, used := usedRoles.Load(name); !used {
				fmt.Fprintf(os.Stderr, "no test uses the role %q\n", name)
				code = 1
			}
		}
	}
	return code
}

// build makes the programs. The test binary is linked into their folder, as the
// one where go test puts it belongs to its user alone.
func build() (err error) {
	if programs, err = os.MkdirTemp("", "gosuper-e2e"); err != nil {
		return err
	}
	if err := os.Chmod(programs, 0o755); err != nil {
		return err
	}
	gosuper, self = filepath.Join(programs, "gosuper"), filepath.Join(programs, "worker")
	plain, agent = filepath.Join(programs, "plain"), filepath.Join(programs, "agent-server")
	args := []string{"build"}
	if raceEnabled {
		args = append(args, "-race")
	}
	for target, source := range map[string]string{gosuper: "..", plain: "./testdata/plain", agent: examples + "/agent-server"} {
		if out, err := exec.Command("go", append(args, "-o", target, source)...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build %s: %w\n%s", source, err, out)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return copyFile(self, exe)
}

func copyFile(to, from string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}
