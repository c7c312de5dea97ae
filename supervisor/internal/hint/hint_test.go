//go:build linux

package hint

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
	"github.com/gosuper/gosuper/supervisor/internal/filewatch"
	"github.com/gosuper/gosuper/supervisor/internal/process"
	"github.com/gosuper/gosuper/supervisor/internal/socket"
)

func TestHints(t *testing.T) {
	inUse := &socket.Error{Address: "tcp://:80", Err: unix.EADDRINUSE, Hint: "stop the other"}
	for _, test := range []struct {
		err  error
		hint string
	}{
		{errors.New("bad luck"), ""},
		{inUse, "stop the other"},
		{fmt.Errorf("cannot reload: %w", inUse), "stop the other"},
		{&socket.Error{Address: "tcp://:80", Err: unix.EMFILE}, process.OutOfFiles},
		{fmt.Errorf("cannot open: %w", unix.ENFILE), process.OutOfFilesAll},
		{&filewatch.Error{Err: unix.ENOSPC, Hint: "raise it"}, "raise it"},
		{&process.StartError{Err: unix.EACCES, Hint: "chmod +x"}, "chmod +x"},
		{&process.StartError{Err: unix.EMFILE}, process.OutOfFiles},
	} {
		text, fields := test.err.Error(), zapcore.NewMapObjectEncoder()
		if test.hint != "" {
			text += " (" + test.hint + ")"
		}
		for _, f := range Fields(test.err) {
			f.AddTo(fields)
		}
		got, _ := fields.Fields["hint"].(string)
		if Of(test.err) != test.hint || Text(test.err) != text || got != test.hint || fields.Fields["error"] != test.err.Error() {
			t.Errorf("%v: %q, %q, %v, want %q", test.err, Of(test.err), Text(test.err), fields.Fields, test.hint)
		}
	}
}

// The text of an error of the configuration has its hint already; the log has them
// apart.
func TestHintOfConfiguration(t *testing.T) {
	err := &config.Error{Key: "workers", Msg: "must be a number", Hint: "say auto"}
	fields := zapcore.NewMapObjectEncoder()
	for _, f := range Fields(err) {
		f.AddTo(fields)
	}
	if Of(err) != "" || Text(err) != err.Error() || fields.Fields["hint"] != "say auto" || fields.Fields["error"] != err.Short() {
		t.Errorf("%q, %q, %v", Of(err), Text(err), fields.Fields)
	}
}
