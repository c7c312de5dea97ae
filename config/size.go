package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is an amount of memory in bytes.
type Size int64

// The sizes that have a name, 1024 times as large as the one before.
const (
	KiB Size = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
)

// maxSize is the largest size: beyond it lies a slip of the finger.
const maxSize = 1 << 10 * TiB

// sizeUnits are the units that can be written, in lower case. A thousand and
// 1024 are told apart, as everywhere where memory is counted.
var sizeUnits = map[string]Size{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": KiB, "mib": MiB, "gib": GiB, "tib": TiB,
}

// String returns the size with the largest unit that leaves a whole number:
// "512MiB", "2GB", "1001B"; "0".
func (s Size) String() string {
	for _, u := range []struct {
		size Size
		name string
	}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {KiB, "KiB"}, {1, "B"}} {
		if s > 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// sizeDoc describes the values of a size.
const sizeDoc = `size such as "512MiB" or "2GB", or a number of bytes`

// size is a size that is one of the words, which are numbers, or at least low.
// Below low lies the number whose unit was forgotten.
func size(low Size, words ...Size) kind[Size] {
	return kind[Size]{
		doc: sizeDoc,
		parse: func(in input) (Size, error) {
			s, err := amount(in)
			if err != nil {
				return 0, err
			}
			for _, word := range words {
				if s == word {
					return s, nil
				}
			}
			switch {
			case s < 0:
				return 0, wrong("", "must not be negative, as %d is", s)
			case s < low:
				return 0, wrong(fmt.Sprintf(`write "%dMiB" if that is meant`, max(s, 1)), "must be at least %s, not %s", low, s)
			}
			return s, nil
		},
		print: func(s Size) string {
			if s > 0 {
				return quote(s.String())
			}
			return s.String()
		},
	}
}

// autoSize is a size that is at least low, 0, or left to gosuper.
func autoSize(low Size) kind[Size] {
	written := size(low, 0)
	return kind[Size]{
		doc: written.doc + `, or "auto"`,
		parse: func(in input) (Size, error) {
			if in.isText() && in.text() == "auto" || in.value == any("auto") {
				return SizeAuto, nil
			}
			return written.parse(in)
		},
		print: func(s Size) string {
			if s == SizeAuto {
				return quote("auto")
			}
			return written.print(s)
		},
	}
}

// amount reads a size.
func amount(in input) (Size, error) {
	if n, ok := in.value.(int64); ok {
		return bounded(float64(n), Size(n), strconv.FormatInt(n, 10))
	}
	text, err := stringOf(in, "a "+sizeDoc)
	if err != nil {
		return 0, err
	}
	digits := strings.TrimRightFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	name := strings.ToLower(strings.TrimSpace(text[len(digits):]))
	unit, known := sizeUnits[name]
	n, bad := strconv.ParseFloat(digits, 64)
	switch {
	case bad != nil || strings.Trim(digits, "-.0123456789") != "":
		return 0, wrong("", "must be a %s, not %s", sizeDoc, quote(text))
	case !known:
		hint := ""
		if first := name[:1]; strings.Contains("kmgt", first) && (len(name) == 1 || name[1:] == "i") {
			hint = "write " + quote(digits+strings.ToUpper(first)+"iB")
		}
		return 0, wrong(hint, "must be a %s, not %s", sizeDoc, quote(text))
	}
	if whole, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return bounded(n*float64(unit), Size(whole)*unit, quote(text))
	}
	return bounded(n*float64(unit), Size(math.Round(n*float64(unit))), quote(text))
}

// bounded returns the size if its rough value is not too large.
func bounded(rough float64, exact Size, shown string) (Size, error) {
	if rough > float64(maxSize) {
		return 0, wrong("", "must be at most %s, not %s", maxSize, shown)
	}
	return exact, nil
}
