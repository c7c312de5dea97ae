//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// consoleEncoder writes log lines for people: time, level, message, fields as
// key=value, and what has several lines below it.
//
//	15:04:05.000 INFO  worker ready       worker=1 slot=0 pid=4711
type consoleEncoder struct {
	colour bool
	// workers says that what workers write to stderr is seen in the same place.
	// Their last lines, just above, are not repeated then: with a traceback that
	// every boot repeats that would be too much to find anything in.
	workers bool
	// keys says that the terminal is one where keys are pressed.
	keys bool
}

// messageWidth is what the common messages are padded to.
const messageWidth = 16

// The colours of a terminal, ECMA-48.
const (
	plain  = ""
	dim    = "2"
	red    = "31"
	yellow = "33"
	bold   = "1"
)

var buffers = buffer.NewPool()

// EncodeEntry returns the line, or lines.
func (e consoleEncoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	var words, below []string
	message, fields := e.shorten(entry, fields)
	for _, f := range fields {
		value := fieldValue(f)
		switch list, isList := value.([]any); {
		case isList && len(list) == 0:
		case isList && strings.HasSuffix(f.Key, "_lines"):
			if e.workers {
				continue
			}
			for _, v := range list {
				below = append(below, fmt.Sprint(v))
			}
		default:
			text := consoleText(value)
			if first, rest, several := strings.Cut(text, "\n"); several {
				below = append(below, strings.Split(rest, "\n")...)
				text = first
			}
			words = append(words, e.paint(dim, f.Key+"=")+quoteIfNeeded(text))
		}
	}
	line := buffers.Get()
	line.AppendString(e.paint(dim, entry.Time.Format("15:04:05.000")) + " ")
	line.AppendString(e.paint(levelColour(entry.Level), fmt.Sprintf("%-5s", entry.Level.CapitalString())) + " ")
	if len(words) == 0 {
		line.AppendString(e.paint(bold, message))
	} else {
		line.AppendString(e.paint(bold, fmt.Sprintf("%-*s", messageWidth, message)))
		line.AppendString(" " + strings.Join(words, " "))
	}
	line.AppendString("\n")
	for _, text := range below {
		line.AppendString(e.paint(dim, "             | ") + text + "\n")
	}
	return line, nil
}

// paint puts a text between the colour and its end.
func (e consoleEncoder) paint(colour, text string) string {
	if !e.colour || colour == plain {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func levelColour(l zapcore.Level) string {
	switch {
	case l >= zapcore.ErrorLevel:
		return red
	case l == zapcore.WarnLevel:
		return yellow
	case l == zapcore.DebugLevel:
		return dim
	}
	return plain
}

// fieldValue is what a field holds: lists as []any, numbers as they are.
func fieldValue(f zapcore.Field) any {
	values := zapcore.NewMapObjectEncoder()
	f.AddTo(values)
	return values.Fields[f.Key]
}

// consoleText writes a value for people.
func consoleText(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return v.String()
	case []any:
		words := make([]string, len(v))
		for i, w := range v {
			words[i] = fmt.Sprint(w)
		}
		return strings.Join(words, " ")
	}
	return fmt.Sprint(v)
}

// quoteIfNeeded keeps the end of a value recognisable, and control characters
// off the terminal.
func quoteIfNeeded(text string) string {
	odd := func(r rune) bool { return r == ' ' || r == '"' || r == '=' || !strconv.IsPrint(r) }
	if text == "" || slices.ContainsFunc([]rune(text), odd) {
		return strconv.Quote(text)
	}
	return text
}
