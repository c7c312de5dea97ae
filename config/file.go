package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// readTOML applies the file.
func (l *loader) readTOML() {
	if l.source.File == "" {
		return
	}
	text, err := l.fileText()
	if err != nil {
		l.fileFailed = true
		l.errs.add(err)
		return
	}
	document, err := parseTOML(text)
	if err != nil {
		err.File = l.source.File
		if strings.HasSuffix(err.File, ".py") {
			err.Hint = "a file of Gunicorn is a program: gosuper import " + l.source.File + " prints the supervisor.toml that means the same"
		}
		l.fileFailed = true
		l.errs.add(err)
		return
	}
	var again *Error
	if l.marks, again = scan(text); again != nil {
		again.File = l.source.File
		l.errs.add(again)
	}
	l.readTable("", document)
	// Maps have no order, but people read a file from the top.
	slices.SortStableFunc(l.errs.List, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
}

// fileText reads the file.
func (l *loader) fileText() (string, *Error) {
	if text := l.source.text; text != nil {
		l.warn("%s cannot be read twice: reloads go on with what it said at the start", l.source.File)
		return strings.TrimPrefix(*text, "\ufeff"), nil
	}
	data, err := l.source.readFile(l.source.path())
	if err != nil {
		missing := &Error{File: l.source.File, Msg: whyNot("cannot read the configuration", err)}
		if errors.Is(err, fs.ErrNotExist) && l.source.path() != l.source.File {
			missing.Hint = "looked for " + l.source.path()
		}
		return "", missing
	}
	return strings.TrimPrefix(string(data), "\ufeff"), nil
}

// whyNot says why a file cannot be used, without the path, which stands
// elsewhere.
func whyNot(what string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return what + ": no such file"
	case errors.Is(err, fs.ErrPermission):
		return what + ": permission denied"
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Sprintf("%s: %v", what, err)
}

// parseTOML decodes text. A mistake in the grammar comes back with its position.
func parseTOML(text string) (document map[string]any, failure *Error) {
	// The parser panics where it finds a mistake of its own, which must not
	// take down a master that is asked to reload.
	defer func() {
		if r := recover(); r != nil {
			failure = &Error{Msg: fmt.Sprintf("cannot parse the configuration: %v", r)}
		}
	}()
	if i := invalidUTF8(text); i >= 0 {
		line, column := position(text, i)
		return nil, &Error{Line: line, Column: column, Msg: "is not TOML: it is not UTF-8 text"}
	}
	_, err := toml.Decode(text, &document)
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		// Not syntax.ErrorWithPosition, which panics on some positions.
		line, column := position(text, syntax.Position.Start)
		return nil, &Error{Line: line, Column: column, Msg: "is not TOML: " + syntax.Message}
	}
	if err != nil {
		return nil, &Error{Msg: fmt.Sprintf("is not TOML: %v", err)}
	}
	return document, nil
}

// invalidUTF8 returns where the first byte is that is not UTF-8; -1 if none is.
func invalidUTF8(text string) int {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// readTable applies the keys of one table; name is "" for the top of the file.
func (l *loader) readTable(name string, table map[string]any) {
	for part, value := range table {
		full, path := part, []string{part}
		if name != "" {
			full, path = name+"."+part, []string{name, part}
		}
		line := l.marks.line(path...)
		k, ok := find(full)
		// A quoted "log.level" is one word, which no key is.
		if ok && !strings.Contains(part, ".") {
			in := input{value: value, written: l.marks[strings.Join(path, "\x00")].written}
			l.apply(k, in, origin{layer: layerFile, line: line})
			continue
		}
		if name == "" && isTable(part) {
			if sub, ok := value.(map[string]any); ok {
				l.readTable(part, sub)
				continue
			}
			l.errs.add(&Error{
				File: l.source.File, Line: line, Key: part,
				Msg: problems(mistyped(input{value: value}, "a table"))[0].msg, Hint: "begin it with [" + part + "]",
			})
			continue
		}
		_, isSub := value.(map[string]any)
		l.errs.add(&Error{
			File: l.source.File, Line: line, Key: displayPath(path),
			Msg: "is not a key", Hint: unknownHint(name, part, isSub),
		})
	}
}

// unknownHint guesses what was meant by a key that does not exist.
func unknownHint(table, part string, isTable bool) string {
	if isTable {
		tables := []string{"env", "resources"}
		for _, k := range keys {
			if in, _ := split(k.Name); in != "" {
				tables = append(tables, in)
			}
		}
		if t := nearest(part, tables); t != "" {
			return "did you mean [" + t + "]?"
		}
		return foreignKey(part)
	}
	var here, words []string
	for _, k := range keys {
		in, last := split(k.Name)
		if last == part {
			return "it belongs " + place(in)
		}
		// Those who know the flag or the variable try its name.
		if k.Flag != "" && k.Flag == strings.ReplaceAll(part, "_", "-") {
			return "did you mean " + k.Name + "?"
		}
		if in == table {
			here = append(here, last)
		}
		words = append(words, last)
	}
	if known := foreignKey(part); known != "" {
		return known
	}
	if last := nearest(part, here); last != "" {
		return "did you mean " + last + "?"
	}
	if last := nearest(part, words); last != "" {
		i := slices.IndexFunc(keys, func(k Key) bool { _, l := split(k.Name); return l == last })
		in, _ := split(keys[i].Name)
		return "did you mean " + last + " " + place(in) + "?"
	}
	return ""
}

// place describes where the keys of a table are written.
func place(table string) string {
	if table == "" {
		return "at the top, before the first [table]"
	}
	return "in [" + table + "]"
}

// split takes the name of a key apart into table, which may be "", and word.
func split(name string) (table, word string) {
	if table, word, ok := strings.Cut(name, "."); ok {
		return table, word
	}
	return "", name
}
