//go:build linux

package admin

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium with one page, spoken to by the DevTools protocol
// over a pair of pipes: JSON texts that end with NUL (--remote-debugging-pipe).
type browser struct {
	t       testing.TB
	to      *os.File
	session string

	mu      sync.Mutex // guards what follows
	id      int
	waiting map[int]chan reply
	events  []event
}

// reply is the answer to a command.
type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// event is something that happened in the browser.
type event struct {
	Method string
	Params json.RawMessage
}

// browse starts a browser, and sees to its end.
func browse(t testing.TB) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip(err)
	}
	in, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{in, out}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	b := &browser{t: t, to: to, waiting: map[int]chan reply{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(from)
	}()
	t.Cleanup(func() {
		b.session = ""
		b.do("Browser.close", nil, nil)
		<-read // it holds the pipe until it has written its profile
		cmd.Wait()
		to.Close()
	})
	var target struct{ TargetID string }
	b.do("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.do(domain+".enable", nil, nil)
	}
	return b
}

// read takes what the browser says, to the end.
func (b *browser) read(from *os.File) {
	defer from.Close()
	for r := bufio.NewReader(from); ; {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID int
			reply
			event
		}
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			continue
		}
		b.mu.Lock()
		if m.ID == 0 {
			b.events = append(b.events, m.event)
		} else if w := b.waiting[m.ID]; w != nil {
			w <- m.reply
		}
		b.mu.Unlock()
	}
}

// do gives a command and waits for its result.
func (b *browser) do(method string, params map[string]any, result any) {
	b.t.Helper()
	b.mu.Lock()
	b.id++
	id, answer := b.id, make(chan reply, 1)
	b.waiting[id] = answer
	b.mu.Unlock()
	command := map[string]any{"id": id, "method": method}
	if params != nil {
		command["params"] = params
	}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	text, err := json.Marshal(command)
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			b.t.Fatalf("%s: %s", method, r.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(r.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(testTimeout):
		b.t.Fatalf("%s: no answer", method)
	}
}

// open shows a page in a window of this size, in the light or the dark.
func (b *browser) open(url string, width, height int, scheme string) {
	b.t.Helper()
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	b.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.do("Page.navigate", map[string]any{"url": url}, nil)
}

// eval returns the value of an expression.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	b.do("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, r.ExceptionDetails.Exception.Description)
	}
	return r.Result.Value
}

// until waits until an expression is true.
func (b *browser) until(expression string) {
	b.t.Helper()
	for begin := time.Now(); time.Since(begin) < testTimeout; {
		if b.eval(expression) == true {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	b.t.Fatalf("waited in vain for %s; the page is\n%v", expression, b.eval("document.body.innerText"))
}

// shot is a picture of the whole page.
func (b *browser) shot(path string) {
	b.t.Helper()
	var r struct{ Data string }
	b.do("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &r)
	png, err := base64.StdEncoding.DecodeString(r.Data)
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// complaints are what went wrong in the page, and requests to anywhere but origin.
func (b *browser) complaints(origin string) (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		switch e.Method {
		case "Runtime.exceptionThrown", "Log.entryAdded":
			all = append(all, string(e.Params))
		case "Runtime.consoleAPICalled":
			all = append(all, "console: "+string(e.Params))
		case "Network.requestWillBeSent":
			var p struct{ Request struct{ URL string } }
			json.Unmarshal(e.Params, &p)
			if u := p.Request.URL; !strings.HasPrefix(u, origin) && !strings.HasPrefix(u, "data:") {
				all = append(all, fmt.Sprintf("request to %s", u))
			}
		}
	}
	return all
}
