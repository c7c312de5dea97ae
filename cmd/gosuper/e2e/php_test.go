//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/cmd/internal/load"
)

// Workers that speak FastCGI behind nginx: php-fpm takes over sockets by a variable of
// its own, as one that executes itself anew, and has the processes that accept below it.
func TestForeignPHP(t *testing.T) {
	t.Parallel()
	fpm := phpFPM(t)
	need(t, "nginx")
	dir := open(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	addr := freePort(t)
	put(t, path("app.php"), []byte("<?php header('X-Worker-Pid: ' . posix_getppid()); echo \"hello from php\\n\";\n"))
	// Their own log is not stderr: to that they would write a line for each start of a child.
	put(t, path("fpm.conf"), fmt.Appendf(nil, `[global]
daemonize = no
error_log = %s
process_control_timeout = 10s
[app]
listen = %s
pm = static
pm.max_children = 2
`, path("fpm.log"), addr))
	m := up(t, command(fpm, "--nodaemonize", "--allow-to-run-as-root", "--fpm-config", path("fpm.conf")), fmt.Sprintf("bind = [%q]", addr),
		fmt.Sprintf("env = { FPM_SOCKETS = %q }", addr+"=3"), `stop_signal = "SIGQUIT"`, `abort_signal = "SIGTERM"`)
	for _, e := range m.count(t, 2, 0, "worker ready", nil) {
		if e.str("cooperating") != "false" {
			t.Errorf("a plain worker is taken for a cooperating one: %s", e.line)
		}
	}

	front := startNginx(t, dir, fmt.Sprintf(`server {
listen 80;
error_log errors.log;
location / {
fastcgi_pass %s;
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param SCRIPT_FILENAME %s;
}
}
`, addr, path("app.php")))
	answer, err := clientOf(front).Get("http://nginx/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || answer.StatusCode != http.StatusOK || string(body) != "hello from php\n" {
		t.Errorf("answer %s %q, %v", answer.Status, body, err)
	}
	before := m.workers()
	r := m.load(load.Plan{Network: "unix", Addr: front, Connections: 2, Pause: 5 * time.Millisecond})
	m.reload()
	for _, pid := range m.workers() {
		r.answeredBy(pid)
	}
	none(t, "a reload under load", r.end(), 4) // one of each worker, at least
	if said := read(t, path("errors.log")); strings.Contains(said, "refused") {
		t.Errorf("nginx says\n%s", said)
	}
	for slot, pid := range m.workers() {
		if before[slot] == pid {
			t.Errorf("slot %d was not reloaded", slot)
		}
	}
	m.signal(syscall.SIGTERM)
	if code := m.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	m.gone(0)
}

// phpFPM returns the path of php-fpm, whose name says its version.
func phpFPM(t *testing.T) string {
	t.Helper()
	all, err := filepath.Glob("/usr/sbin/php-fpm*")
	if err != nil || len(all) == 0 {
		t.Skip("there is no php-fpm")
	}
	return all[len(all)-1]
}
