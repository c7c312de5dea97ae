package config

import (
	"errors"
	"fmt"
	"strings"
)

// Error is one thing wrong with a configuration.
type Error struct {
	// File is the file it is written in, as it was named; "" when it is not in
	// a file.
	File string
	// Line is its line, from 1; 0 when unknown.
	Line int
	// Column is its column in bytes, from 1; 0 unless the file is not TOML.
	Column int
	// From names the flag ("--workers") or the variable ("GOSUPER_WORKERS") it
	// is written in, when it is not in a file.
	From string
	// Key is the key it is about, "log.level"; "" when it is about none.
	Key string
	// Msg says what is wrong.
	Msg string
	// Hint says what to do about it; may be "".
	Hint string
}

// Error returns place, key, message and hint in one line.
func (e *Error) Error() string {
	s := e.Short()
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Short is Error without the hint, for those who print the hint themselves.
func (e *Error) Short() string {
	var b strings.Builder
	switch {
	case e.File != "":
		b.WriteString(e.File + ":")
		if e.Line > 0 {
			fmt.Fprintf(&b, "%d:", e.Line)
		}
		if e.Column > 0 {
			fmt.Fprintf(&b, "%d:", e.Column)
		}
		b.WriteString(" ")
	case e.From != "":
		b.WriteString(e.From + ": ")
	}
	// A flag and a variable already say which key it is.
	if e.Key != "" && e.From == "" {
		b.WriteString(e.Key + ": ")
	}
	return b.String() + e.Msg
}

// Errors is everything that is wrong with a configuration, in the order of its
// sources. It is never empty.
type Errors struct {
	List []*Error
}

// Error returns one line for a single error, else a headline and one indented
// line for each.
func (e *Errors) Error() string {
	if len(e.List) == 1 {
		return e.List[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d errors in the configuration", len(e.List))
	for _, one := range e.List {
		b.WriteString("\n  " + one.Error())
	}
	return b.String()
}

// problem is what is wrong with a value before it is known where the value is
// written.
type problem struct {
	// part is the element of a table it is about: the variable of env.
	part string
	msg  string
	hint string
}

func (p *problem) Error() string { return p.msg }

// wrong makes a problem with a hint, which may be "".
func wrong(hint, format string, args ...any) error {
	return &problem{msg: fmt.Sprintf(format, args...), hint: hint}
}

// problems takes an error apart into the problems that were joined in it.
func problems(err error) []*problem {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*problem
		for _, one := range joined.Unwrap() {
			all = append(all, problems(one)...)
		}
		return all
	}
	var p *problem
	if errors.As(err, &p) {
		return []*problem{p}
	}
	return []*problem{{msg: err.Error()}}
}
