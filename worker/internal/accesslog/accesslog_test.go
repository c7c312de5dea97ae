//go:build linux

package accesslog

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// pipe returns a non-blocking pipe as the access log's, and the master's end.
func pipe(t testing.TB) (fd int, read *os.File) {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	read = os.NewFile(uintptr(ends[0]), "log")
	t.Cleanup(func() {
		unix.Close(ends[1])
		read.Close()
	})
	return ends[1], read
}

func newLog(t testing.TB, json bool) *Log {
	t.Helper()
	fd, _ := pipe(t)
	a, err := New(fd, json, 7)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func entry() *Entry {
	return &Entry{
		Remote: "192.0.2.1:5432",
		At:     time.Date(2026, 1, 2, 15, 4, 5, 67e6, time.Local),
		Method: "GET", Target: "/a?b=c", Proto: "HTTP/1.1",
		Status: 200, Bytes: 12,
		Referer: "https://example.com/", Agent: "curl/8", RequestID: "4bf92f35",
		Duration: 1234567 * time.Microsecond, FirstByte: 1500 * time.Nanosecond, Answered: true,
	}
}

func TestAccessLine(t *testing.T) {
	at := entry().At
	clf := at.Format("02/Jan/2006:15:04:05 -0700")
	utc := at.UTC().Format("2006-01-02T15:04:05.000Z")
	tests := []struct {
		name           string
		change         func(e *Entry)
		combined, json string
	}{
		{
			"plain", func(*Entry) {},
			`192.0.2.1 - - [` + clf + `] "GET /a?b=c HTTP/1.1" 200 12 "https://example.com/" "curl/8" 1.234567 0.000001 7 "4bf92f35" ok`,
			`{"time":"` + utc + `","remote":"192.0.2.1","method":"GET","target":"/a?b=c","proto":"HTTP/1.1","status":200,"bytes":12,"referer":"https://example.com/",` +
				`"user_agent":"curl/8","duration":1.234567,"first_byte":0.000001,"worker":7,"request_id":"4bf92f35","ended":"ok"}`,
		},
		{
			"unix socket, no answer", func(e *Entry) {
				*e = Entry{Remote: "@", At: at, Method: "POST", Target: "/", Proto: "HTTP/1.0", Ending: ClientGone}
			},
			`- - - [` + clf + `] "POST / HTTP/1.0" 0 0 "-" "-" 0.000000 - 7 "-" client_gone`,
			`{"time":"` + utc + `","remote":"","method":"POST","target":"/","proto":"HTTP/1.0","status":0,"bytes":0,"referer":"",` +
				`"user_agent":"","duration":0.000000,"first_byte":null,"worker":7,"request_id":"","ended":"client_gone"}`,
		},
		{
			"injection", func(e *Entry) {
				e.Remote = "[2001:db8::1]:80"
				e.Target, e.Agent, e.Referer = "/\u00e9\x00\x7f", "a\" \\b\n::1 - -\x1b[31m", "\xff\u0085\u2028"
				e.Ending = Panic
			},
			`2001:db8::1 - - [` + clf + `] "GET /\xc3\xa9\x00\x7f HTTP/1.1" 200 12 "\xff\xc2\x85\xe2\x80\xa8" "a\x22 \x5cb\x0a::1 - -\x1b[31m" 1.234567 0.000001 7 "4bf92f35" panic`,
			`{"time":"` + utc + `","remote":"2001:db8::1","method":"GET","target":"/` + "\u00e9" + `\u0000\u007f","proto":"HTTP/1.1","status":200,"bytes":12,"referer":"` + "\ufffd" + `\u0085\u2028",` +
				`"user_agent":"a\" \\b\u000a::1 - -\u001b[31m","duration":1.234567,"first_byte":0.000001,"worker":7,"request_id":"4bf92f35","ended":"panic"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := entry()
			tt.change(e)
			if got := string(newLog(t, false).format(nil, e)); got != tt.combined+"\n" {
				t.Errorf("combined\n%s want\n%s", got, tt.combined)
			}
			if got := string(newLog(t, true).format(nil, e)); got != tt.json+"\n" {
				t.Errorf("json\n%s want\n%s", got, tt.json)
			}
		})
	}
}

var combinedLine = regexp.MustCompile(`^[0-9a-zA-Z.:\\-]+ - - \[[^\]]+\] "[ !#-~]*" \d+ \d+ "[ !#-~]*" "[ !#-~]*" \d+\.\d{6} (-|\d+\.\d{6}) 7 "[ !#-~]*" (ok|timeout|drain|client_gone|panic)\n$`)

// FuzzAccessLine expects one well-formed line of bounded length whatever the client
// sends.
func FuzzAccessLine(f *testing.F) {
	f.Add("GET", "/", "agent", "referer", "id")
	long := strings.Repeat("\"\n\u00e9\x80", 3000)
	f.Add(long, long, long, long, long)
	combined, inJSON := newLog(f, false), newLog(f, true)
	f.Fuzz(func(t *testing.T, method, target, agent, referer, id string) {
		e := entry()
		e.Method, e.Target, e.Agent, e.Referer, e.RequestID, e.Proto = method, target, agent, referer, id, method
		line := combined.format(nil, e)
		if len(line) > protocol.MaxAccessLine || !combinedLine.Match(line) {
			t.Errorf("%d bytes: %q", len(line), line)
		}
		line = inJSON.format(nil, e)
		if len(line) > protocol.MaxAccessLine || bytes.IndexByte(line, '\n') != len(line)-1 || !json.Valid(line) {
			t.Errorf("%d bytes: %q", len(line), line)
		}
	})
}

// TestAccessLog writes more than the pipe takes: what arrives is whole, and what
// does not is counted.
func TestAccessLog(t *testing.T) {
	fd, read := pipe(t)
	var dropped atomic.Int64
	a, err := New(fd, false, 7)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 500
	e := entry()
	e.Agent = strings.Repeat("long ", 60)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if !a.Write(e) {
					dropped.Add(1)
				}
			}
		})
	}
	wg.Wait()
	unix.Close(fd)
	var got bytes.Buffer
	_, err = got.ReadFrom(read)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(got.String(), "\n")
	for _, line := range lines[:len(lines)-1] {
		if !combinedLine.MatchString(line) {
			t.Fatalf("not a line: %q", line)
		}
	}
	if n := int64(len(lines) - 1); n == 0 || dropped.Load() == 0 || n+dropped.Load() != writers*each {
		t.Errorf("%d lines and %d dropped, of %d", n, dropped.Load(), writers*each)
	}
}

func TestAccessLogRefusesToBlock(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	if _, err := New(ends[1], false, 7); err == nil {
		t.Error("takes a descriptor that blocks")
	}
	if flags, _ := unix.FcntlInt(uintptr(ends[1]), unix.F_GETFL, 0); flags&unix.O_NONBLOCK != 0 {
		t.Error("changes what all share")
	}
	if _, err := New(9999, false, 7); err == nil {
		t.Error("takes a descriptor that is none")
	}
}

func BenchmarkAccessLog(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	for name, json := range map[string]bool{"combined": false, "json": true} {
		a := newLog(b, json)
		e := entry()
		b.Run(name+"/format", func(b *testing.B) {
			buf := make([]byte, 0, protocol.MaxAccessLine)
			b.ReportAllocs()
			for b.Loop() {
				a.format(buf, e)
			}
		})
		// To /dev/null, as a pipe is as fast as its reader.
		a.fd = int(null.Fd())
		b.Run(name+"/write", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a.Write(e)
			}
		})
	}
}
