package config

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// within fails the test if do does not return: the reader waits for a writer then.
func within(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it hangs")
	}
}

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whichever key names it: what is not a regular file is refused, and neither
// opening nor reading it waits for anybody.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	huge := write(t, "huge", strings.Repeat("# many words\n", 1<<16))
	now := time.Now()
	certText, keyText := newPair(t, "a", now)
	cert, key := write(t, "cert.pem", certText), write(t, "key.pem", keyText)
	for _, file := range []struct{ path, what string }{
		{fifo(t), "it is a FIFO, not a regular file"},
		{"/dev/zero", "it is a device, not a regular file"},
		{"/dev/tty", "not a regular file"},
		{socket, "it is a socket"},
		{dir, "it is a folder, not a regular file"},
		{huge, "it has more than 256 KiB"},
	} {
		for _, place := range []struct {
			key    string
			source Source
		}{
			{"cannot read the configuration", Source{File: file.path}},
			{"env_file", Source{Environ: []string{"GOSUPER_ENV_FILE=" + file.path}}},
			{"tls.cert", Source{File: write(t, "s.toml", "[tls]\ncert = "+quote(file.path)+"\nkey = "+quote(key)+"\n")}},
			{"tls.key", Source{File: write(t, "s.toml", "[tls]\ncert = "+quote(cert)+"\nkey = "+quote(file.path)+"\n")}},
		} {
			place.source.Command = []string{"a"}
			within(t, func() {
				_, _, err := Load(place.source)
				named := strings.ReplaceAll(place.key, "env_file", "GOSUPER_ENV_FILE")
				if err == nil || !strings.Contains(err.Error(), named) || !strings.Contains(err.Error(), file.path) || !strings.Contains(err.Error(), file.what) {
					t.Errorf("%s as %s: %v, want %q", file.path, place.key, err, file.what)
				}
			})
		}
	}
}

// A pipe in the place of the file is read at the first start, and every reload
// has what it said.
func TestOnce(t *testing.T) {
	path := fifo(t)
	go os.WriteFile(path, []byte("workers = 7\n"), 0o600)
	within(t, func() {
		source := Source{File: path, Command: []string{"a"}}.Once()
		for range 2 {
			c, warnings := mustLoad(t, source)
			if c.Workers.N != 7 || len(warnings) != 1 || !strings.Contains(warnings[0], path+" cannot be read twice") {
				t.Errorf("%d workers, warnings %q", c.Workers.N, warnings)
			}
		}
	})
	if c, _ := mustLoad(t, Source{File: "/dev/null", Command: []string{"a"}}.Once()); !c.Workers.Auto {
		t.Error("an empty device has said something")
	}
	regular := Source{File: write(t, "s.toml", "workers = 1\n"), Command: []string{"a"}}.Once()
	if err := os.WriteFile(regular.File, []byte("workers = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, warnings := mustLoad(t, regular); c.Workers.N != 2 || len(warnings) > 0 {
		t.Errorf("a file that can be read again was read once: %d workers, %q", c.Workers.N, warnings)
	}
}
