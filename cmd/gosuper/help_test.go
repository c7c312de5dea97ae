//go:build linux

package main

import (
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor"
)

// TestProtocolText holds gosuper help protocol to the package comment that is
// the protocol. Run it with -update after changing that.
func TestProtocolText(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../../worker/protocol/doc.go", nil, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	printer := comment.Printer{TextWidth: 80}
	want := string(printer.Text(new(comment.Parser).Parse(f.Doc.Text())))
	if *update {
		if err := os.WriteFile("protocol.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if protocolText != want {
		t.Error("protocol.txt is not the comment of worker/protocol any more: go test ./cmd/gosuper -run TestProtocolText -update")
	}
}

// TestSignalsText looks for every signal the master handles, and for no other.
func TestSignalsText(t *testing.T) {
	text := signalsText()
	for _, s := range supervisor.Signals() {
		if !strings.Contains(text, "\n  "+s.Name+" ") {
			t.Errorf("no line for %s", s.Name)
		}
	}
	for line := range strings.Lines(text) {
		if n := len([]rune(line)); n > usageWidth+1 { // and the end of the line
			t.Errorf("a line of %d letters: %s", n, line)
		}
	}
}

// TestTextKeys looks for every key that the texts speak of: names with an
// underscore in them, but for one of the kernel's.
func TestTextKeys(t *testing.T) {
	for word := range strings.FieldsFuncSeq(signalsTail+securityText+operatingText, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		if strings.Contains(strings.Trim(word, "_"), "_") && word != "io_uring" && !hasKey(word) {
			t.Errorf("no key %s", word)
		}
	}
}

func hasKey(name string) bool {
	for _, k := range config.Keys() {
		if k.Name == name || strings.HasSuffix(k.Name, "."+name) {
			return true
		}
	}
	return false
}
