//go:build linux

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// kernelName is the variable that names the kernel of a virtual machine.
const kernelName = "TEST_KERNEL"

// guestPrograms is where the programs under test are in a virtual machine, which
// has nothing to build them with.
const guestPrograms = "/test"

// inGuest says whether this is the test binary in a virtual machine of TestGuest.
func inGuest() bool {
	_, err := os.Stat(filepath.Join(guestPrograms, "args"))
	return err == nil
}

// Tests of what only a machine with cgroups v2 has run in a virtual one, which needs
// no help of the processor.
func TestGuest(t *testing.T) {
	t.Parallel()
	if inGuest() {
		t.Fatal("a machine inside of a machine")
	}
	qemu := need(t, "qemu-system-x86_64")
	kernel := os.Getenv(kernelName)
	if kernel == "" {
		t.Skip(kernelName + " names no Linux kernel for x86-64 with all that is needed built in, such as that of Debian's linux-image-cloud-amd64")
	}
	tests := []string{"TestOutOfMemory", "TestOutOfMemoryTogether", "TestOverlapFollowsTheLimit"}
	image, console := filepath.Join(t.TempDir(), "initrd"), &strings.Builder{}
	writeGuest(t, image, "-test.v", "-test.run=^("+strings.Join(tests, "|")+")$")

	ctx, cancel := context.WithTimeout(t.Context(), 5*testTimeout)
	defer cancel()
	begin := time.Now()
	cmd := exec.CommandContext(ctx, qemu, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "640", "-smp", "2",
		"-nographic", "-no-reboot", "-nic", "none", "-kernel", kernel, "-initrd", image,
		"-append", "console=ttyS0 rdinit=/init quiet mitigations=off panic=-1")
	cmd.Stdout, cmd.Stderr = console, console
	err := cmd.Run()
	// The console ends its lines as a terminal does.
	said := strings.ReplaceAll(console.String(), "\r\n", "\n")
	t.Logf("the machine ran for %v", time.Since(begin))
	if err != nil || !strings.Contains(said, "\nexit status: 0\n") {
		t.Errorf("it failed: %v", err)
	}
	for _, name := range tests {
		if !strings.Contains(said, "--- PASS: "+name+" ") {
			t.Errorf("%s did not pass", name)
		}
	}
	if t.Failed() {
		t.Logf("the console says\n%s", said)
	}
}

// writeGuest writes what the machine has for a root: the tests, with their
// arguments, and the programs that they test.
func writeGuest(t *testing.T, image string, args ...string) {
	t.Helper()
	dir := t.TempDir()
	build := func(what string, words ...string) []byte {
		t.Helper()
		path := filepath.Join(dir, what)
		cmd := exec.Command("go", append(words[:1:1], append([]string{"-ldflags=-s -w", "-o", path}, words[1:]...)...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("cannot build %s: %v\n%s", what, err, out)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var archive bytes.Buffer
	for _, entry := range []struct {
		name string
		mode fs.FileMode
		text []byte
	}{
		{"dev", fs.ModeDir, nil},
		{"dev/console", fs.ModeCharDevice, nil},
		{"init", 0, build("init", "build", "./testdata/guest")},
		{"test", fs.ModeDir, nil},
		{"test/args", 0, []byte(strings.Join(args, "\n"))},
		{"test/run", 0, build("run", "test", "-c", ".")},
		{"test/gosuper", 0, build("gosuper", "build", "..")},
	} {
		writeEntry(&archive, entry.name, entry.mode, entry.text)
	}
	writeEntry(&archive, "TRAILER!!!", 0, nil)
	if err := os.WriteFile(image, archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeEntry writes one file of an initramfs, in the format "newc" of cpio(5). All
// are root's and executable; the one device is the console.
func writeEntry(w io.Writer, name string, kind fs.FileMode, text []byte) {
	mode, major, minor := 0o100755, 0, 0
	switch kind {
	case fs.ModeDir:
		mode = 0o040755
	case fs.ModeCharDevice:
		mode, major, minor = 0o020600, 5, 1
	}
	fmt.Fprintf(w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		0, mode, 0, 0, 1, 0, len(text), 0, 0, major, minor, len(name)+1, 0)
	const header = 110
	fmt.Fprintf(w, "%s\x00%s", name, padding(header+len(name)+1))
	fmt.Fprintf(w, "%s%s", text, padding(len(text)))
}

// padding leads to the next multiple of four.
func padding(n int) string { return strings.Repeat("\x00", -n&3) }
