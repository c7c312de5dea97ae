//go:build linux

package supervisor

import (
	"errors"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A worker that ends with its word is judged by it, however the two arrive: one that said
// it was ready has crashed, and one that said it would stop has left.
func TestLastWords(t *testing.T) {
	const deaths = 30
	for _, tt := range []struct{ name, says, line string }{
		{"ready", "READY=1", "worker crashed"},
		{"ready and leaves", "READY=1\\nSTOPPING=1", "worker gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := make(chan string, 1000)
			ends := func(message string) bool {
				return message == "worker crashed" || message == "worker boot failed" || message == "worker gone"
			}
			log := zap.New(&counter{LevelEnabler: zapcore.InfoLevel, line: func(message string) {
				if ends(message) {
					lines <- message
				}
			}})
			c := load(t, "workers = 1\nready = \"notify\"\n[restart]\nbackoff_min = \"1ms\"\nbackoff_max = \"1ms\"\n")
			c.Command = []string{"/bin/sh", "-c", "printf '" + tt.says + "' >&$GOSUPER_NOTIFY_FD"}
			s, ended := real(t, c, log)
			for range deaths {
				select {
				case line := <-lines:
					if line != tt.line {
						t.Errorf("the log says %q, want %q", line, tt.line)
					}
				case err := <-ended:
					t.Fatalf("the master has ended: %v", err)
				}
			}
			s.loop.Report(func() { s.handle(syscall.SIGQUIT) })
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// A loader is judged by its exit and by what it said before, however the two arrive: one that
// knows that every other would fail is the last, unless it had said that it was ready. It may
// close its end some time before it exits, as an interpreter does.
func TestLoaderIsJudgedByItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name, does    string
		atLeast, most int // loaders that are started
	}{
		{"hopeless", "exit 78", 1, 1},
		{"hopeless and slow", `eval "exec $GOSUPER_LOADER_FD>&-"; sleep 0.5; exit 78`, 1, 1},
		{"hopeless and has something to say", "printf 'STATUS=no such module' >&$GOSUPER_LOADER_FD; exit 78", 1, 1},
		{"may succeed", "exit 1", 3, 3},
		// Where it is heard in time, it is the workers that cannot be made.
		{"ready", "printf READY=1 >&$GOSUPER_LOADER_FD; exit 78", 3, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			started := 0
			log := zap.New(&counter{LevelEnabler: zapcore.InfoLevel, line: func(message string) {
				if message == "loader started" {
					started++
				}
			}})
			c := load(t, "workers = 1\npreload = true\n[restart]\nbackoff_min = \"1ms\"\nbackoff_max = \"1ms\"\n")
			c.Command = []string{"/bin/sh", "-c", tt.does}
			_, ended := real(t, c, log)
			if err := <-ended; !isBootError(err) {
				t.Errorf("the master ended with %v", err)
			}
			if started < tt.atLeast || started > tt.most {
				t.Errorf("%d loaders were started, want %d to %d", started, tt.atLeast, tt.most)
			}
		})
	}
}

func isBootError(err error) bool {
	_, is := errors.AsType[*BootError](err)
	return is
}
