package config

import (
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	for _, test := range []struct {
		in   any
		want Size
		bad  string // part of the error
	}{
		{"512MiB", 512 * MiB, ""},
		{"512 mib", 512 * MiB, ""},
		{"2GB", 2e9, ""},
		{"1.5GiB", 1536 * MiB, ""},
		{"0", 0, ""},
		{"0GiB", 0, ""},
		{"1048576", MiB, ""},
		{"1048577B", MiB + 1, ""},
		{int64(1 << 30), GiB, ""},
		{int64(0), 0, ""},
		{"1024TiB", 1024 * TiB, ""},
		{"1025TiB", 0, "must be at most 1024TiB"},
		{"99999999999999999999GiB", 0, "must be at most 1024TiB"},
		{int64(512), 0, `must be at least 1MiB, not 512B; write "512MiB" if that is meant`},
		{"512", 0, "must be at least 1MiB"},
		{"1023KiB", 0, "must be at least 1MiB"},
		{"512M", 0, `not "512M"; write "512MiB"`},
		{"2gi", 0, `write "2GiB"`},
		{int64(-1), 0, "must not be negative"},
		{"-1GiB", 0, "must not be negative"},
		{"", 0, "must be a size"},
		{"GiB", 0, "must be a size"},
		{"1e9", 0, "must be a size"},
		{"0x100000", 0, "must be a size"},
		{"1GiB2", 0, "must be a size"},
		{"NaN", 0, "must be a size"},
		{"1.2.3GiB", 0, "must be a size"},
		{1.5, 0, "must be a size"},
		{true, 0, "must be a size"},
	} {
		got, err := size(MiB, 0).parse(input{value: test.in})
		said := ""
		for _, p := range problems(err) {
			said = p.Error() + "; " + p.hint
		}
		if got != test.want || !strings.Contains(said, test.bad) || (said == "") != (test.bad == "") {
			t.Errorf("%v is %d, %q; want %d, %q", test.in, got, said, test.want, test.bad)
		}
	}
}

func TestSizeString(t *testing.T) {
	for s, want := range map[Size]string{
		0: "0", -1: "-1", 1: "1B", 1000: "1000B", KiB: "1KiB", 1536 * MiB: "1536MiB", 2 * TiB: "2TiB", 1024 * TiB: "1024TiB", 2e9: "2GB",
	} {
		if got := s.String(); got != want {
			t.Errorf("%d is %q, want %q", int64(s), got, want)
		}
	}
}
