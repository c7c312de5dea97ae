//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// impostor answers at the address like a master, one connection after the other,
// and tells on stdout what it was asked.
func impostor(args []string) error {
	l, err := net.Listen("unix", args[0])
	if err != nil {
		return err
	}
	if args[0][0] != '@' {
		if err := os.Chmod(args[0], 0o777); err != nil {
			return err
		}
	}
	fmt.Println("listening")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			fmt.Println(r.Method, r.URL.Path)
			const status = `{"name":"impostor","pid":1,"version":"v1","state":"running","healthy":true,"ready":true,"binds":[],"workers":[]}`
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(status), status)
		}
		c.Close()
	}
}

// impersonate has another user listen at an address. heard returns what that one
// was asked so far.
func impersonate(t *testing.T, address string) (uid string, heard func() string) {
	t.Helper()
	other, _ := mortal(t)
	words := append(other.before, as("impostor", address)...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "listening\n" {
		t.Fatalf("the impostor says %q, %v", line, err)
	}
	return other.uid(), func() string {
		c, err := net.Dial("unix", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /last HTTP/1.1\r\nHost: x\r\n\r\n")
		if answer, err := io.ReadAll(c); err != nil || !strings.Contains(string(answer), "impostor") {
			t.Fatalf("the impostor answers %q, %v", answer, err)
		}
		var all strings.Builder
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if line == "GET /last\n" {
				return all.String()
			}
			all.WriteString(line)
		}
	}
}

// uid is the user.
func (p person) uid() string { return p.before[2] }

// Another user who listens where a master of this one would be is neither believed
// nor told anything, and whoever asks for that master is told who it is. A master
// that starts has another address if need be, says so, and is found there.
func TestImpostors(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const name = "impersonated"
	for _, tc := range []struct {
		what   string
		folder fs.FileMode // of the folder of the user's sockets, where the impostor has put his; 0: there is none
		moved  bool        // has the master that starts then another address than that of its name?
	}{
		{"at the abstract address", 0, true},
		{"in a folder for everybody", 0o777, false},
		{"left in a folder that is for its user now", 0o755, true},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			p, how := mortal(t)
			address := "@gosuper/" + p.uid() + "/" + name
			p.env = []string{"XDG_RUNTIME_DIR=", "HOME="}
			folder := filepath.Join(p.dir, "gosuper")
			if tc.folder != 0 {
				address = filepath.Join(folder, name+".sock")
				p.env = []string{"XDG_RUNTIME_DIR=" + p.dir}
				makeFolder(t, folder, p.uid())
			}
			other, heard := impersonate(t, address)
			if tc.folder != 0 {
				if err := os.Chmod(folder, tc.folder); err != nil {
					t.Fatal(err)
				}
			}
			how.env, how.config = p.env, config(fmt.Sprintf("name = %q", name), `control = { socket = "auto" }`)
			file := filepath.Join(p.dir, "supervisor.toml")
			if err := os.WriteFile(file, []byte(how.config), 0o644); err != nil {
				t.Fatal(err)
			}
			refused := func(words ...string) {
				t.Helper()
				p.expects(1, "", "gosuper: error: cannot reach a master at "+address+": it belongs to user "+other+": permission denied\ngosuper: hint: .*", words...)
			}
			refused("status", "-c", file)
			refused("stop", "-c", file)
			p.expects(1, "", "gosuper: error: no master of user "+p.uid()+" is running\ngosuper: hint: .*", "status")

			m := start(t, how)
			m.wait(t, 0, "ready", nil)
			p.expects(0, name+"  ready .*", "", "status", "-c", file)
			p.expects(0, name+"  ready .*", "", "status", "-n", name)
			p.expects(0, name+"  ready .*", "", "status")
			if moved := m.all(0, movedOn, nil); (len(moved) == 1) != tc.moved || tc.moved && !strings.Contains(moved[0].str("error"), "address already in use") {
				t.Errorf("of its address it says %v", moved)
			}
			if refused := m.all(0, noControl, nil); len(refused) > 0 {
				t.Errorf("it says %s", refused[0].line)
			}
			if answer, _, err := m.get("/"); err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("the master serves %v, %v", answer, err)
			}
			m.signal(syscall.SIGTERM)
			if code := m.end(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			if all := heard(); all != "" {
				t.Errorf("the impostor was asked for\n%s", all)
			}
		})
	}
}

// makeFolder makes a folder of a user in which everybody may put something.
func makeFolder(t *testing.T, path, uid string) {
	t.Helper()
	id, err := strconv.Atoi(uid)
	if err == nil {
		err = os.Mkdir(path, 0o755)
	}
	if err == nil {
		err = os.Chown(path, id, id)
	}
	if err == nil {
		err = os.Chmod(path, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
}
