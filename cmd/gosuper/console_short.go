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
	if bind := slices.IndexFunc(fields, func(f zapcore.Field) bool { return f.Key == "bind" }); message == "ready" && bind >= 0 {
		return e.readyLine(fieldValue(fields[bind]), number["workers"], number["tls"] == 1), nil
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
func (e consoleEncoder) readyLine(bind any, workers int64, tls bool) string {
	scheme := "http://"
	if tls {
		scheme = "https://"
	}
	var places []string
	list, _ := bind.([]any)
	for _, url := range list {
		place := strings.Replace(fmt.Sprint(url), "tcp://", scheme, 1)
		places = append(places, strings.Replace(place, "unix://", "unix:", 1))
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
