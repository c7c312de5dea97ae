//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap/zapcore"
)

// shorten is a line of the log for people: the one that everybody waits for in
// words, and the others without what goes without saying. JSON keeps it all.
func (e consoleEncoder) shorten(entry zapcore.Entry, fields []zapcore.Field) (string, []zapcore.Field) {
	message := entry.Message
	number := map[string]int64{}
	for _, f := range fields {
		number[f.Key] = f.Integer
	}
	is := func(key string) func(zapcore.Field) bool { return func(f zapcore.Field) bool { return f.Key == key } }
	if bind := slices.IndexFunc(fields, is("bind")); message == "ready" && bind >= 0 {
		list, _ := fieldValue(fields[bind]).([]any)
		return e.readyLine(list, number["workers"], number["tls"] == 1), nil
	}
	if url := slices.IndexFunc(fields, is("url")); message == "admin listener" && url >= 0 {
		return "page on " + address(fieldValue(fields[url]), "http://"), nil
	}
	if _, ofWorker := number["worker"]; !ofWorker {
		return message, fields
	}
	// The line of its start says which worker it is, for those that follow.
	known := entry.Level < zapcore.WarnLevel && message != "worker started"
	return message, slices.DeleteFunc(slices.Clone(fields), func(f zapcore.Field) bool {
		switch f.Key {
		case "slot": // the first workers have theirs in order
			return known || number["slot"] == number["worker"]-1
		case "place":
			return known || number["place"] == number["slot"]
		case "generation": // there was no reload
			return known || number["generation"] == 1
		}
		return false
	})
}

// readyLine says where to look now, and how to end it.
func (e consoleEncoder) readyLine(bind []any, workers int64, tls bool) string {
	scheme := "http://"
	if tls {
		scheme = "https://"
	}
	var places []string
	for _, url := range bind {
		places = append(places, address(url, scheme))
	}
	count := "1 worker"
	if workers != 1 {
		count = fmt.Sprintf("%d workers", workers)
	}
	if e.keys {
		count += ", Ctrl-C stops"
	}
	return "ready on " + strings.Join(places, " and ") + " (" + count + ")"
}

// address is the URL of a socket as a browser takes it, or a path as in bind.
func address(url any, scheme string) string {
	return strings.Replace(strings.Replace(fmt.Sprint(url), "tcp://", scheme, 1), "unix://", "unix:", 1)
}
