//go:build linux

package supervisor

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/config"
)

// acceptor has this program be a plain worker that waits for connections.
const acceptor = "SUPERVISOR_TEST_ACCEPTOR"

func init() {
	runtime.LockOSThread()
	if os.Getenv(acceptor) != "" {
		unix.SetNonblock(3, false)
		unix.Accept(3)
		os.Exit(1)
	}
}

// mainThread are calls for the main thread, which alone makes processes.
var mainThread = make(chan func())

func TestMain(m *testing.M) {
	done := make(chan int)
	go func() { done <- m.Run() }()
	for {
		select {
		case call := <-mainThread:
			call()
		case code := <-done:
			os.Exit(code)
		}
	}
}

// BenchmarkStart is the start of many plain workers, of which nobody but the master says
// whether they wait for connections: when the last process was made, and how long the
// loop was deaf at most until then. Those that wait for none are looked at until the end,
// five seconds after the start, by which the master has had so much of the processors.
func BenchmarkStart(b *testing.B) {
	const workers = 256
	b.Setenv(acceptor, "1")
	for name, command := range map[string][]string{"idle": {"/bin/sleep", "600"}, "waiting": {os.Args[0]}} {
		b.Run(name, func(b *testing.B) {
			var forked, ready, deaf, cpu time.Duration
			for b.Loop() {
				s := startMany(b, workers, command, name == "waiting")
				forked, ready, cpu, deaf = forked+s.forked, ready+s.ready, cpu+s.cpu, max(deaf, s.deaf)
			}
			ms := func(d time.Duration) float64 { return float64(d) / float64(b.N) / float64(time.Millisecond) }
			b.ReportMetric(ms(forked), "ms/forks")
			if ready > 0 {
				b.ReportMetric(ms(ready), "ms/ready")
			}
			b.ReportMetric(ms(cpu), "cpu-ms")
			b.ReportMetric(float64(deaf)/float64(time.Millisecond), "ms-deaf")
		})
	}
}

// course is how a start went.
type course struct{ forked, ready, deaf, cpu time.Duration }

// spent is how much of the processors this process has had.
func spent(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// startMany starts a master, and ends it when all its workers have been started, or are
// ready if they ever will be.
func startMany(b *testing.B, workers int, command []string, wait bool) (c course) {
	b.Helper()
	var started atomic.Int32
	forked, up := make(chan struct{}), make(chan struct{})
	log := zap.New(&counter{LevelEnabler: zapcore.InfoLevel, line: func(message string) {
		switch message {
		case "worker started":
			if started.Add(1) == int32(workers) {
				close(forked)
			}
		case "ready":
			close(up)
		}
	}})
	config := load(b, fmt.Sprintf("workers = %d\n", workers))
	config.Command = command
	begin, cpu := time.Now(), spent(b)
	s, ended := real(b, config, log)
	asks := true
	for asks {
		c.deaf = max(c.deaf, ask(b, s))
		select {
		case <-forked:
			asks = false
		case <-time.After(time.Millisecond):
		}
	}
	c.forked = time.Since(begin)
	if wait {
		<-up
		c.ready = time.Since(begin)
	} else {
		time.Sleep(time.Until(begin.Add(5 * time.Second))) // of the looks themselves
	}
	c.cpu = spent(b) - cpu
	s.loop.Report(func() { s.handle(syscall.SIGQUIT) })
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	return c
}

// real runs a master of real processes.
func real(b testing.TB, c *config.Config, log *zap.Logger) (s *Supervisor, ended <-chan error) {
	b.Helper()
	return realTo(b, c, log, toStderr{})
}

// realTo is real with a place where the output of the workers goes.
func realTo(b testing.TB, c *config.Config, log *zap.Logger, to Streams) (s *Supervisor, ended <-chan error) {
	b.Helper()
	end, masters := make(chan error, 1), make(chan *Supervisor, 1)
	mainThread <- func() {
		s, err := New(Options{Config: c, Environ: os.Environ(), Log: log, Streams: to})
		if err != nil {
			end <- err
			close(masters)
			return
		}
		masters <- s
		end <- s.Run()
	}
	if s = <-masters; s == nil {
		b.Fatal(<-end)
	}
	return s, end
}

// ask returns how long the loop of a master was deaf.
func ask(b testing.TB, s *Supervisor) time.Duration {
	b.Helper()
	asked := time.Now()
	if err := s.loop.Do(b.Context(), func() {}); err != nil {
		b.Fatal(err)
	}
	return time.Since(asked)
}

// counter is a core of a logger that hears the messages.
type counter struct {
	zapcore.LevelEnabler
	line func(message string)
}

func (c *counter) With([]zapcore.Field) zapcore.Core { return c }
func (c *counter) Sync() error                       { return nil }

func (c *counter) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return to.AddCore(e, c)
}

func (c *counter) Write(e zapcore.Entry, _ []zapcore.Field) error {
	c.line(e.Message)
	return nil
}
