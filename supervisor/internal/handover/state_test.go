//go:build linux

package handover

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestEncode(t *testing.T) {
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"plain", "ä \ufffd \\ufffd \\\\ufffd", true},
		{"not UTF-8", "caf\xe9", false},
		{"not UTF-8 behind a backslash", "\\\xe9", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			master, err := json.Marshal(map[string]string{"path": test.text})
			if err != nil {
				t.Fatal(err)
			}
			text, err := encode(master, []int{7})
			if (err == nil) != test.ok {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			s, err := decode(text, os.Getpid())
			if err != nil || !slices.Equal(s.Descriptors, []int{7}) || !strings.HasPrefix(string(s.Master), `{"path":"ä`) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	for text, problem := range map[string]string{
		`{"version": 1, "pid": 5, "later": {}, "master": {}}`: "",
		`{"version": 2, "pid": 5}`:                            "cannot read the state: it has version 2, this program knows 1",
		`{"pid": 5}`:                                          "cannot read the state: it has version 0, this program knows 1",
		`{"version": 1, "pid": 6}`:                            "cannot take over: the state is that of process 6",
		`{"version"`:                                          "cannot read the state: unexpected end of JSON input",
	} {
		if _, err := decode([]byte(text), 5); err != nil && err.Error() != problem || err == nil && problem != "" {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestLetter(t *testing.T) {
	signals := []syscall.Signal{syscall.SIGHUP, syscall.SIGTTIN}
	if fd, got := parse(letter(12, signals)); fd != 12 || !slices.Equal(got, signals) {
		t.Errorf("descriptor %d, signals %v", fd, got)
	}
	for _, nonsense := range []string{"", "x", "3 x", "-1", "99999999999"} {
		if fd, got := parse(nonsense); fd != 0 || got != nil {
			t.Errorf("%q: descriptor %d, signals %v", nonsense, fd, got)
		}
	}
	if fd, _, ok := Inherited(); ok || Early() != nil {
		t.Errorf("descriptor %d was inherited", fd)
	}
}
