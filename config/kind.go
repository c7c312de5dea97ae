package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// input is one value on its way into a Config: text from a flag or a variable,
// or what the TOML parser made of it.
type input struct {
	// texts holds the values of a flag, one for each time it was given, or the
	// parts of a variable; nil when the value comes from the file.
	texts []string
	// value is the decoded value: string, int64, float64, bool, time.Time, []any
	// or a map; unset when there are texts.
	value any
	// written is how the value begins in the file, which is all that tells the
	// integer 0o22 from 18; "" when unknown.
	written string
}

// isText reports whether the value comes from a flag or a variable.
func (in input) isText() bool { return in.texts != nil }

// text is the text of a value that is one: the last flag wins.
func (in input) text() string { return in.texts[len(in.texts)-1] }

// kind is a type of value: how it is read, printed and described.
type kind[T any] struct {
	// doc describes the values in the reference.
	doc string
	// parse reads a value. Its errors are problems, possibly joined.
	parse func(input) (T, error)
	// print writes a value as TOML.
	print func(T) string
}

// mistyped is the problem of a value of another type than wanted.
func mistyped(in input, wanted string) error {
	var found string
	switch v := in.value.(type) {
	case string:
		found = "the string " + quote(v)
	case int64, float64:
		found = fmt.Sprintf("the number %v", v)
	case bool:
		found = strconv.FormatBool(v)
	case time.Time:
		found = "a date"
	case []any:
		found = "a list"
	case []map[string]any:
		found = "a list of tables"
	default:
		found = "a table"
	}
	return wrong("", "must be %s, not %s", wanted, found)
}

// bare reports whether a value is one that quotes would make a string of.
func (in input) bare() bool {
	switch in.value.(type) {
	case int64, float64, bool:
		return true
	}
	return false
}

// stringOf reads a text without judging it, but for what can be in no text of a
// system call, nor in TOML.
func stringOf(in input, wanted string) (string, error) {
	s, ok := in.value.(string)
	if in.isText() {
		s, ok = in.text(), true
	}
	switch {
	case !ok && in.bare():
		p := problems(mistyped(in, wanted))[0]
		p.hint = "write " + quote(fmt.Sprint(in.value))
		return "", p
	case !ok:
		return "", mistyped(in, wanted)
	case strings.ContainsRune(s, 0):
		return "", wrong("", "must not contain a NUL byte")
	case !utf8.ValidString(s):
		return "", wrong("", "must be UTF-8 text")
	}
	return s, nil
}

// text is a string that check accepts; check may be nil.
func text(doc string, check func(string) error) kind[string] {
	return kind[string]{
		doc: doc,
		parse: func(in input) (string, error) {
			s, err := stringOf(in, "a string")
			if err == nil && check != nil {
				err = check(s)
			}
			return s, err
		},
		print: quote,
	}
}

// choice is one of a few words.
func choice(words ...string) kind[string] {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	doc := strings.Join(quoted[:len(words)-1], ", ") + " or " + quoted[len(words)-1]
	return text(doc, func(s string) error {
		for _, w := range words {
			if s == w {
				return nil
			}
		}
		return wrong(didYouMean(nearest(s, words)), "must be %s, not %s", doc, quote(s))
	})
}

// texts is a list of strings, each of which check accepts; all together all
// accepts.
func texts(doc string, check func(string) error, all func([]string) error) kind[[]string] {
	return kind[[]string]{
		doc: doc,
		parse: func(in input) ([]string, error) {
			elements, err := in.elements()
			if err != nil {
				return nil, err
			}
			var list []string
			var errs []error
			for i, element := range elements {
				s, err := stringOf(element, "a string")
				if err == nil {
					err = check(s)
				} else {
					err = wrong("", "element %d %s", i+1, err)
				}
				errs = append(errs, err)
				list = append(list, s)
			}
			if err := errors.Join(errs...); err != nil {
				return nil, err
			}
			return list, all(list)
		},
		print: quoteList,
	}
}

// addresses is a list of addresses, or one by itself.
func addresses(check func(string) error, all func([]string) error) kind[[]string] {
	k := texts("address, or list of addresses", check, all)
	list := k.parse
	k.parse = func(in input) ([]string, error) {
		one, ok := in.value.(string)
		switch port, isNumber := in.value.(int64); {
		case isNumber:
			return nil, wrong("write "+quote(fmt.Sprintf(":%d", port)), "must be an address or a list of them, not the number %d", port)
		case !ok:
			return list(in)
		}
		several := strings.FieldsFunc(one, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
		if len(several) > 1 && !slices.ContainsFunc(several, func(s string) bool { return check(s) != nil }) {
			return nil, wrong("write "+quoteList(several), "must be one address or a list, not several in one string")
		}
		return list(input{texts: []string{one}})
	}
	return k
}

// elements returns the elements of a list.
func (in input) elements() ([]input, error) {
	var elements []input
	if in.isText() {
		for _, s := range in.texts {
			elements = append(elements, input{texts: []string{s}})
		}
		return elements, nil
	}
	list, ok := in.value.([]any)
	if s, isString := in.value.(string); isString {
		return nil, wrong("write "+quoteList(strings.Fields(s)), "must be a list, not the string %s", quote(s))
	}
	if !ok {
		return nil, mistyped(in, "a list")
	}
	for _, v := range list {
		elements = append(elements, input{value: v})
	}
	return elements, nil
}

// integer reads a whole number within bounds.
func integer(in input, wanted string, low, high int) (int, error) {
	var n int64
	if in.isText() {
		var err error
		n, err = strconv.ParseInt(in.text(), 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, wrong("", "must be %s, not %s", wanted, quote(in.text()))
		}
	} else {
		var ok bool
		if n, ok = in.value.(int64); !ok {
			err := mistyped(in, wanted)
			if s, isString := in.value.(string); isString {
				if _, bad := strconv.ParseInt(s, 10, 64); bad == nil {
					err.(*problem).hint = "write " + s + " without quotes"
				}
			}
			return 0, err
		}
	}
	if n < int64(low) || n > int64(high) {
		return 0, wrong("", "must be from %d to %d, not %d", low, high, n)
	}
	return int(n), nil
}

// count is a whole number within bounds.
func count(low, high int) kind[int] {
	doc := fmt.Sprintf("number from %d to %d", low, high)
	return kind[int]{
		doc:   doc,
		parse: func(in input) (int, error) { return integer(in, "a "+doc, low, high) },
		print: strconv.Itoa,
	}
}

// span reads a duration of at least low.
func span(in input, wanted string, low time.Duration) (time.Duration, error) {
	var d time.Duration
	var err error
	var shown string
	switch v := in.value.(type) {
	case int64:
		d, shown = wholeSeconds(v), strconv.FormatInt(v, 10)
	case float64:
		d, err = floatSeconds(v)
		shown = strconv.FormatFloat(v, 'g', -1, 64)
	default:
		s, textErr := stringOf(in, wanted)
		if textErr != nil {
			return 0, textErr
		}
		d, err = parseDuration(s)
		shown = quote(s)
	}
	switch {
	case err != nil:
		return 0, wrong("", "must be %s, not %s", wanted, shown)
	case d < 0:
		return 0, wrong("", "must not be negative, as %s is", shown)
	case d > maxDuration:
		return 0, wrong("", "must be at most 10 years, not %s", shown)
	case d < low && low > aboveZero:
		return 0, wrong("", "must be at least %s, not %s", formatDuration(low), shown)
	case d < low:
		return 0, wrong("", "must be above 0")
	}
	return d, nil
}

const durationDoc = `duration such as "30s" or "2m", or a number of seconds`

// duration is a duration of at least low; a nanosecond stands for "above 0".
func duration(low time.Duration) kind[time.Duration] {
	doc := durationDoc
	switch {
	case low > aboveZero:
		doc += ", at least " + formatDuration(low)
	case low > 0:
		doc += ", above 0"
	}
	return kind[time.Duration]{
		doc:   doc,
		parse: func(in input) (time.Duration, error) { return span(in, "a "+durationDoc, low) },
		print: func(d time.Duration) string { return quote(formatDuration(d)) },
	}
}

// quoteList writes a list of strings as TOML.
func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quote writes s as a TOML string, in which strconv.Quote's \x, \a and \v do
// not exist.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029':
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// didYouMean makes a hint of a suggestion, which may be "".
func didYouMean(s string) string {
	if s == "" {
		return ""
	}
	return "did you mean " + s + "?"
}
