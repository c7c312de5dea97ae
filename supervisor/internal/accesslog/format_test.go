//go:build linux

package accesslog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// combinedLine and jsonLine are lines as package worker writes them.
const (
	combinedLine = `192.0.2.1 - - [02/Jan/2006:15:04:05 +0000] "GET /a?b=c HTTP/1.1" 200 12 "-" "curl/8" 1.234567 0.000001 7 "4bf9" ok`
	jsonLine     = `{"time":"2006-01-02T15:04:05.067Z","remote":"192.0.2.1","method":"GET","target":"/é","proto":"HTTP/1.1","status":200,"bytes":12,"referer":"",` +
		`"user_agent":"a\" \\b\u000a","duration":1.234567,"first_byte":null,"worker":7,"request_id":"4bf9","ended":"ok"}`
)

func TestFormats(t *testing.T) {
	tests := []struct {
		name, old, new string // what is changed in a line
		want           string // in place of new; "": as it is
	}{
		{name: "combined as it is"},
		{name: "combined: nothing known", old: `1.234567 0.000001 7 "4bf9" ok`, new: `0.000000 - 7 "-" client_gone`},
		{name: "combined: a terminal's command", old: "curl/8", new: "\x1b[2J\u009b\x7f\r\xff", want: `\x1b[2J\xc2\x9b\x7f\x0d\xff`},
		{name: "combined: a tab for a space", old: "200 12", new: "200\t12", want: "refused"},
		{name: "combined: of another", old: " 7 ", new: " 8 ", want: "refused"},
		{name: "combined: of a number like its own", old: " 7 ", new: " 07 ", want: "refused"},
		{name: "combined: of nobody", old: " 7 ", new: " ", want: "refused"},
		{name: "combined: two ids", old: " 7 ", new: " 7 8 ", want: "refused"},
		{name: "combined: two ids, its own last", old: " 7 ", new: " 8 7 ", want: "refused"},
		{name: "combined: a line in the user agent", old: "curl/8", new: `x" 0.1 0.1 8 "-" ok`, want: "refused"},
		{name: "combined: a line in what is escaped for some", old: "curl/8", new: `x\" 0.1 0.1 8 \"-`, want: "refused"},
		{name: "combined: a line behind", old: " ok", new: ` ok ` + strings.Replace(combinedLine, " 7 ", " 8 ", 1), want: "refused"},
		{name: "combined: a word behind", old: " ok", new: ` ok 8`, want: "refused"},
		{name: "combined: a request that was not sent", old: "GET /a?b=c HTTP/1.1", new: ``},
		{name: "combined: no address", old: "192.0.2.1", new: "", want: "refused"},
		{name: "combined: an address and more", old: "192.0.2.1", new: "192.0.2.1 x", want: "refused"},
		{name: "combined: no time", old: "[02/Jan/2006:15:04:05 +0000]", new: "[", want: "refused"},
		{name: "combined: two times", old: "+0000]", new: "+0000] x]", want: "refused"},
		{name: "combined: no status", old: " 200 ", new: " - ", want: "refused"},
		{name: "combined: words", old: combinedLine, new: "GET /", want: "refused"},
		{name: "combined: empty", old: combinedLine, new: "", want: "refused"},

		{name: "json as it is"},
		{name: "json: space", old: `,"worker":7,`, new: " , \"worker\" :\t7 , \r", want: `,"worker":7,`},
		{name: "json: numbers", old: "1.234567", new: "-0.5e+10"},
		{name: "json: another member", old: `"ended":"ok"`, new: `"ended":"ok","trace":true,"more":false`},
		{name: "json: a terminal's command", old: "/é", new: "\x1b[2J\u009b\x7f\r\u2028\xff", want: `\u001b[2J\u009b\u007f\u000d\u2028` + "\uFFFD"},
		{name: "json: of another", old: `:7,`, new: `:8,`, want: "refused"},
		{name: "json: of another way to say it", old: `:7,`, new: `:7.0,`, want: "refused"},
		{name: "json: of a text", old: `:7,`, new: `:"7",`, want: "refused"},
		{name: "json: of nobody", old: `"worker":7,`, new: ``, want: "refused"},
		{name: "json: of two", old: `"worker":7,`, new: `"worker":7,"worker":8,`, want: "refused"},
		{name: "json: of two, its own last", old: `"worker":7,`, new: `"worker":8,"worker":7,`, want: "refused"},
		{name: "json: of two, twice its own", old: `"worker":7,`, new: `"worker":7,"worker":7,`, want: "refused"},
		{name: "json: of another for who does not mind case", old: `"worker":7,`, new: `"worker":7,"Wor` + "\u212a" + `er":8,`, want: "refused"},
		{name: "json: of another in numbers", old: `"worker":7,`, new: `"worker":7,"w\u006frker":8,`, want: "refused"},
		{name: "json: its own within another", old: `"worker":7,`, new: `"x":{"worker":7},`, want: "refused"},
		{name: "json: a list", old: `12,`, new: `[12],`, want: "refused"},
		{name: "json: a line behind", old: `"ok"}`, new: `"ok"}` + jsonLine, want: "refused"},
		{name: "json: no end", old: `"ok"}`, new: `"ok"`, want: "refused"},
		{name: "json: no end of a text", old: `"ok"}`, new: `"ok`, want: "refused"},
		{name: "json: a comma too many", old: `"ok"}`, new: `"ok",}`, want: "refused"},
		{name: "json: a comma too few", old: `,"status"`, new: `"status"`, want: "refused"},
		{name: "json: no value", old: `:200`, new: `:`, want: "refused"},
		{name: "json: a leading zero", old: `:200`, new: `:0200`, want: "refused"},
		{name: "json: half a fraction", old: `:200`, new: `:200.`, want: "refused"},
		{name: "json: half an exponent", old: `:200`, new: `:2e`, want: "refused"},
		{name: "json: a word", old: `null`, new: `nil`, want: "refused"},
		{name: "json: an escape that is none", old: `/é`, new: `\x`, want: "refused"},
		{name: "json: an escape that has no end", old: `/é`, new: `\u00g0`, want: "refused"},
		{name: "json: a list alone", old: jsonLine, new: `["worker",7]`, want: "refused"},
		{name: "json: a number alone", old: jsonLine, new: "7", want: "refused"},
		{name: "json: empty", old: jsonLine, new: "", want: "refused"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			line, format := combinedLine, "combined"
			if strings.HasPrefix(test.name, "json") {
				line, format = jsonLine, "json"
			}
			if !strings.Contains(line, test.old) {
				t.Fatalf("there is no %s in it", test.old)
			}
			given, want := strings.Replace(line, test.old, test.new, 1), "before\n"
			if test.want != "refused" {
				want += strings.Replace(line, test.old, cmp.Or(test.want, test.new), 1) + "\n"
			}
			for _, p := range []*pipe{{worker: 7, format: format}, {worker: 7}} {
				got, ok := p.append([]byte("before\n"), []byte(given))
				if string(got) != want || ok == (test.want == "refused") {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

// What is in a pipe of many names any of them.
func TestSharedPipe(t *testing.T) {
	p := &pipe{worker: sharedWorker}
	for _, line := range []string{combinedLine, jsonLine} {
		if got, ok := p.append(nil, []byte(line)); string(got) != line+"\n" || !ok {
			t.Errorf("got %q", got)
		}
	}
	for _, line := range []string{strings.Replace(combinedLine, " 7 ", " x ", 1), strings.Replace(jsonLine, ":7,", ":null,", 1), "x"} {
		if got, ok := p.append(nil, []byte(line)); ok {
			t.Errorf("got %q", got)
		}
	}
}

// FuzzLine expects that what a worker can have written down is a line of its own, and
// harmless, whoever reads it.
func FuzzLine(f *testing.F) {
	f.Add([]byte(combinedLine))
	f.Add([]byte(jsonLine))
	f.Fuzz(func(t *testing.T, line []byte) {
		line = bytes.ReplaceAll(line, []byte("\n"), nil)
		for _, format := range []string{"combined", "json"} {
			p := &pipe{worker: 7, format: format}
			got, ok := p.append(nil, line)
			if !ok {
				if len(got) > 0 {
					t.Errorf("refused, and still %q", got)
				}
				continue
			}
			if len(got) > MaxLine || bytes.IndexByte(got, '\n') != len(got)-1 || !utf8.Valid(got) ||
				slices.ContainsFunc(got[:len(got)-1], func(c byte) bool { return c < ' ' || c == 0x7f }) {
				t.Errorf("%q", got)
			}
			again, ok := p.append(nil, got[:len(got)-1])
			if !ok || !bytes.Equal(again, got) {
				t.Errorf("%q is %q the second time", got, again)
			}
			var one struct{ Worker int }
			switch format {
			case "json":
				if err := json.Unmarshal(got, &one); err != nil || one.Worker != 7 {
					t.Errorf("%q: %v", got, err)
				}
			case "combined":
				if fields := strings.Split(string(got), `"`); !strings.HasSuffix(fields[6], " 7 ") || len(fields) != 9 {
					t.Errorf("%q", got)
				}
			}
		}
	})
}

func BenchmarkLine(b *testing.B) {
	for name, line := range map[string]string{"combined": combinedLine, "json": jsonLine} {
		b.Run(name, func(b *testing.B) {
			p := &pipe{worker: 7, format: name}
			lines := make([]byte, 0, MaxLine)
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := p.append(lines, []byte(line)); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}
