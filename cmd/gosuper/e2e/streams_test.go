//go:build linux

package e2e

import (
	"bufio"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// socketPair returns the two ends of a stream like those that systemd gives to a
// service: their names in /dev cannot be opened.
func socketPair(t *testing.T) (theirs *os.File, ours net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	end := os.NewFile(uintptr(fds[1]), "ours")
	defer end.Close()
	if ours, err = net.FileConn(end); err != nil {
		t.Fatal(err)
	}
	theirs = os.NewFile(uintptr(fds[0]), "theirs")
	t.Cleanup(func() { theirs.Close(); ours.Close() })
	return theirs, ours
}

// The names of the streams mean the descriptors, whatever those are, at the start
// and after all that opens files.
func TestLogsToStreams(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ log, access string }{
		{"/dev/stderr", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/fd/1"},
		{"/dev/fd/1", "/dev/fd/2"},
	} {
		t.Run(tc.log+" and "+tc.access, func(t *testing.T) {
			t.Parallel()
			stdout, access := socketPair(t)
			stderr, log := socketPair(t)
			if tc.log == "/dev/fd/1" {
				log, access = access, log
			}
			m := start(t, launch{
				args:   append([]string{"-b", "127.0.0.1:0", "-w", "1", "--ready", "notify", "--control", "off", "--error-logfile", tc.log, "--access-logfile", tc.access}, as("serve")...),
				stdout: stdout, stderr: stderr,
			})
			go m.read(log)
			lines := bufio.NewReader(access)
			line := func() string {
				t.Helper()
				access.SetReadDeadline(time.Now().Add(testTimeout))
				text, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				return text
			}
			for _, path := range []string{"/one", "/two", "/three"} {
				m.wait(t, 0, "ready", nil)
				if _, _, err := m.get(path); err != nil {
					t.Fatal(err)
				}
				if text := line(); !strings.Contains(text, "GET "+path+" ") {
					t.Errorf("%s is written down as %q", path, text)
				}
				m.signal(syscall.SIGUSR1)
				m.reload()
			}
			m.signal(syscall.SIGTERM)
			if status := m.end(); status != 0 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}
