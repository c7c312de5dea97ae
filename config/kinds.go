package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// MaxWorkers bounds the number of workers: beyond it lies a slip of the finger.
const MaxWorkers = 10_000

var workersKind = kind[Workers]{
	doc: fmt.Sprintf(`number from 1 (0 with workers_max) to %d, "auto", "cpu", "cpu+1" or "2*cpu+1"`, MaxWorkers),
	parse: func(in input) (Workers, error) {
		s, _ := in.value.(string)
		if in.isText() {
			s = in.text()
		}
		for _, w := range append([]Workers{{Auto: true}}, byCPU...) {
			if s == w.String() {
				return w, nil
			}
		}
		n, err := integer(in, `a number, "auto", "cpu", "cpu+1" or "2*cpu+1"`, 0, MaxWorkers)
		return Workers{N: n}, err
	},
	print: func(w Workers) string {
		if w.Fixed() {
			return w.String()
		}
		return quote(w.String())
	},
}

var surgeKind = kind[Surge]{
	doc: `number, or a percentage of the workers such as "50%" (rounded up)`,
	parse: func(in input) (Surge, error) {
		const wanted = `a number, or a percentage such as "50%"`
		s, isString := in.value.(string)
		if in.isText() {
			s, isString = in.text(), true
		}
		digits, percent := strings.CutSuffix(s, "%")
		if !isString || !percent {
			n, err := integer(in, wanted, 0, MaxWorkers)
			return Surge{N: n}, err
		}
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return Surge{}, wrong("", "must be %s, not %s", wanted, quote(s))
		}
		if n > 100 {
			return Surge{}, wrong("", "must be at most 100%%, not %s", quote(s))
		}
		return Surge{N: int(n), Percent: true}, nil
	},
	print: func(s Surge) string {
		if s.Percent {
			return quote(s.String())
		}
		return s.String()
	},
}

// boolean is yes or no.
var boolean = kind[bool]{
	doc: "true or false",
	parse: func(in input) (bool, error) {
		v, ok := in.value.(bool)
		if in.isText() {
			v, ok = in.text() == "true", in.text() == "true" || in.text() == "false"
			if !ok {
				return false, wrong("", "must be true or false, not %s", quote(in.text()))
			}
		}
		if !ok {
			return false, mistyped(in, "true or false")
		}
		return v, nil
	},
	print: strconv.FormatBool,
}

// autoBoolean is yes or no, or a word that leaves it to gosuper.
var autoBoolean = kind[AutoBool]{
	doc: `true, false or "auto"`,
	parse: func(in input) (AutoBool, error) {
		if in.isText() && in.text() == "auto" || in.value == any("auto") {
			return AutoBool{Auto: true}, nil
		}
		_, isBool := in.value.(bool)
		if !isBool && !(in.isText() && (in.text() == "true" || in.text() == "false")) {
			if in.isText() {
				return AutoBool{}, wrong("", `must be true, false or "auto", not %s`, quote(in.text()))
			}
			return AutoBool{}, mistyped(in, `true, false or "auto"`)
		}
		on, err := boolean.parse(in)
		return AutoBool{On: on}, err
	},
	print: func(b AutoBool) string {
		if b.Auto {
			return quote("auto")
		}
		return strconv.FormatBool(b.On)
	},
}

// autoDuration is a duration, or a word that leaves it to gosuper.
func autoDuration(word string) kind[AutoDuration] {
	doc := durationDoc + ", or " + quote(word)
	return kind[AutoDuration]{
		doc: doc,
		parse: func(in input) (AutoDuration, error) {
			if in.isText() && in.text() == word || in.value == any(word) {
				return AutoDuration{Auto: true}, nil
			}
			d, err := span(in, "a "+doc, 0)
			return AutoDuration{Duration: d}, err
		},
		print: func(d AutoDuration) string {
			if d.Auto {
				return quote(word)
			}
			return quote(formatDuration(d.Duration))
		},
	}
}

var readyKind = kind[Ready]{
	doc: `"auto", "notify", or a ` + durationDoc,
	parse: func(in input) (Ready, error) {
		s, _ := in.value.(string)
		if in.isText() {
			s = in.text()
		}
		switch s {
		case "auto":
			return Default().Ready, nil
		case "notify":
			return Ready{Mode: ReadyNotify}, nil
		}
		d, err := span(in, `"auto", "notify", or a `+durationDoc, 1)
		return Ready{Mode: ReadyAfter, After: d}, err
	},
	print: func(r Ready) string { return quote(r.String()) },
}

var signalKind = kind[Signal]{
	doc: "name of a signal",
	parse: func(in input) (Signal, error) {
		name, err := stringOf(in, `the name of a signal, such as "SIGTERM"`)
		if err != nil {
			return Signal{}, err
		}
		if s, ok := findSignal(name); ok {
			return s, nil
		}
		if strings.TrimPrefix(strings.ToUpper(name), "SIG") == "KILL" {
			return Signal{}, wrong("a grace of 0 cuts at once", "must be a signal that a worker can handle, which SIGKILL is not")
		}
		names := make([]string, len(workerSignals))
		for i, s := range workerSignals {
			names[i] = s.Name
		}
		meant := nearest("SIG"+strings.TrimPrefix(strings.ToUpper(name), "SIG"), names)
		return Signal{}, wrong(didYouMean(meant), "must be one of %s, not %s", strings.Join(names, ", "), quote(name))
	},
	print: func(s Signal) string { return quote(s.Name) },
}

var umaskKind = kind[Umask]{
	doc: `octal number in quotes such as "022", or 0o22`,
	parse: func(in input) (Umask, error) {
		const wanted = `an octal number in quotes, such as "022"`
		if n, ok := in.value.(int64); ok {
			if n != 0 && !strings.HasPrefix(in.written, "0o") {
				return Umask{}, wrong(`write "022"`, "must be %s: the bare number %d would be decimal", wanted, n)
			}
			return umask(n, fmt.Sprintf("%O", n))
		}
		s, err := stringOf(in, wanted)
		if err != nil || s == "" {
			return Umask{}, err
		}
		n, err := strconv.ParseInt(strings.TrimPrefix(s, "0o"), 8, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return Umask{}, wrong("", "must be %s, not %s", wanted, quote(s))
		}
		return umask(n, quote(s))
	},
	print: func(u Umask) string { return quote(u.String()) },
}

// umask checks the range of a mask.
func umask(n int64, shown string) (Umask, error) {
	if n < 0 || n > 0o777 {
		return Umask{}, wrong("", "must be from 000 to 777, not %s", shown)
	}
	return Umask{Mask: int(n), Set: true}, nil
}

// accountKind is a user or a group. Whether there is one of that name is only
// known when a worker is spawned.
func accountKind(what string) kind[string] {
	check := text("", func(s string) error {
		switch {
		case strings.Contains(s, ":"):
			return wrong("user and group are two keys", "must be one %s, not %s", what, quote(s))
		case strings.HasPrefix(s, "-") || strings.ContainsFunc(s, func(r rune) bool {
			return r == '/' || r == ',' || unicode.IsSpace(r) || unicode.IsControl(r)
		}):
			return wrong("", "must be the name or number of a %s, not %s", what, quote(s))
		case s != "" && strings.Trim(s, "0123456789") == "":
			return accountID(s)
		}
		return nil
	})
	return kind[string]{
		doc: "name or number of a " + what,
		parse: func(in input) (string, error) {
			if n, ok := in.value.(int64); ok {
				s := strconv.FormatInt(n, 10)
				return s, accountID(s)
			}
			return check.parse(in)
		},
		print: quote,
	}
}

// accountID checks a numeric id. The last 32-bit number means "leave it as it
// is" to the kernel.
func accountID(s string) error {
	if id, err := strconv.ParseUint(s, 10, 32); err != nil || id == 1<<32-1 {
		return wrong("", "must be an id from 0 to %d, not %s", uint32(1<<32-2), s)
	}
	return nil
}

// envKind is the table of variables for workers; as text, K=V.
var envKind = kind[map[string]string]{
	doc: "table of strings",
	parse: func(in input) (map[string]string, error) {
		env := make(map[string]string)
		var errs []error
		set := func(name string, value input) {
			s, err := stringOf(value, "a string")
			if bad := checkVariable(name); bad != nil {
				err = bad
			}
			for _, p := range problems(err) {
				p.part = name
				errs = append(errs, p)
			}
			env[name] = s
		}
		if in.isText() {
			for _, pair := range in.texts {
				name, value, ok := strings.Cut(pair, "=")
				if !ok {
					errs = append(errs, wrong("", "must be NAME=VALUE, not %s", quote(pair)))
					continue
				}
				set(name, input{texts: []string{value}})
			}
			return env, errors.Join(errs...)
		}
		table, ok := in.value.(map[string]any)
		if !ok {
			return nil, mistyped(in, "a table")
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			set(name, input{value: table[name]})
		}
		return env, errors.Join(errs...)
	},
	print: func(env map[string]string) string {
		pairs := make([]string, 0, len(env))
		for _, name := range slices.Sorted(maps.Keys(env)) {
			pairs = append(pairs, bareOrQuoted(name)+" = "+quote(env[name]))
		}
		if len(pairs) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(pairs, ", ") + " }"
	},
}

// aboveZero is the lowest duration where 0 makes no sense.
const aboveZero = time.Nanosecond
