//go:build linux

package systemd

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// What follows runs inside, where systemd is process 1 and the units are
// installed. The results go to stdout.

const (
	service   = "gosuper.service"
	units     = "/etc/systemd/system/"
	dropIns   = units + service + ".d/"
	runtimeIn = "/run/systemd/system/" + service + ".d/" // those of a single check
	file      = "/etc/gosuper/supervisor.toml"
	site      = "http://127.0.0.1:8000"
)

// result is what became of a check.
type result struct {
	Name   string
	Failed bool
	Text   string // line by line
	Took   time.Duration
}

// check is one in progress.
type check struct{ result }

func (c *check) logf(format string, args ...any) { c.Text += fmt.Sprintf(format, args...) + "\n" }

func (c *check) errorf(format string, args ...any) {
	c.Failed = true
	c.logf(format, args...)
}

func (c *check) must(err error) {
	if err != nil {
		c.errorf("%v", err)
		panic(c)
	}
}

// run runs a command that has to succeed, and returns what it says.
func (c *check) run(words ...string) string {
	begin := time.Now()
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		c.errorf("%s: %v after %v\n%s", strings.Join(words, " "), err, time.Since(begin), out)
		panic(c)
	}
	return strings.TrimSpace(string(out))
}

// show is a property of the service.
func (c *check) show(property string) string {
	return c.run("systemctl", "show", "--property="+property, "--value", service)
}

func (c *check) number(property string) int {
	n, err := strconv.Atoi(c.show(property))
	c.must(err)
	return n
}

// want compares a property of the service.
func (c *check) want(property, value string) {
	if got := c.show(property); got != value {
		c.errorf("%s is %q, not %q", property, got, value)
	}
}

// await waits for something to be the case.
func (c *check) await(what string, is func() bool) {
	for end := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(end) {
			c.errorf("waited in vain until %s", what)
			panic(c)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// install adds settings to the service for one check, and starts it anew.
func (c *check) install(settings string) {
	c.must(os.MkdirAll(runtimeIn, 0o755))
	c.must(os.WriteFile(runtimeIn+"check.conf", []byte("[Service]\n"+settings+"\n"), 0o644))
	c.run("systemctl", "daemon-reload")
	c.run("systemctl", "reset-failed") // the limit of starts counts anew
	c.run("systemctl", "restart", service)
}

// client opens a connection for each request and never tries again.
var client = http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// get asks the server, and returns the pid of the worker that answered.
func get(path string) (pid int, err error) {
	answer, err := client.Get(site + path)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return 0, err
	}
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return strconv.Atoi(answer.Header.Get("X-Worker-Pid"))
}

func (c *check) get(path string) int {
	pid, err := get(path)
	c.must(err)
	return pid
}

// inside runs all checks.
func inside() int {
	for _, one := range []struct {
		name string
		do   func(*check)
	}{
		{"verify", verify},
		{"security", security},
		{"start", starts},
		{"reload", reloads},
		{"upgrade", upgrades},
		{"long stop", extends},
		{"crash", crashes},
		{"watchdog", watchdog},
		{"before 253", before253},
		{"hardened", hardened},
		{"socket", activated},
	} {
		c := &check{result{Name: one.name}}
		begin := time.Now()
		func() {
			defer func() {
				if r := recover(); r != nil && r != any(c) {
					c.errorf("panic: %v", r)
				}
			}()
			one.do(c)
		}()
		if c.Failed {
			out, _ := exec.Command("journalctl", "--no-pager", fmt.Sprintf("--since=@%d", begin.Unix()), "--output=short-precise").Output()
			c.logf("%s", out)
		}
		c.Took = time.Since(begin)
		if err := json.NewEncoder(os.Stdout).Encode(c.result); err != nil {
			return 1
		}
	}
	return 0
}
