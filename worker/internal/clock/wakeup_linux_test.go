package clock

import (
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/scoreboard"
)

// BenchmarkWakeUp compares what a turn of a server costs, one byte received and one
// sent, beside a deadline that a timer of Go's waits for, and beside one of the
// kernel's. The client waits in a system call, as one in another process would, so that
// the server's process has nothing to do between two turns. Both are taken in turn; the
// medians, and those of the ratios, are reported.
func BenchmarkWakeUp(b *testing.B) {
	const turns = 500
	client, server := pair(b)
	go func() {
		for data := make([]byte, 1); ; {
			if _, err := server.Read(data); err != nil {
				return
			}
			if _, err := server.Write(data); err != nil {
				return
			}
		}
	}()
	round := func() (took, cpu float64) {
		began, used := time.Now(), processor(b)
		data := make([]byte, 1)
		for range turns {
			if _, err := unix.Write(client, data); err != nil {
				b.Fatal(err)
			}
			if _, err := unix.Read(client, data); err != nil {
				b.Fatal(err)
			}
		}
		return float64(time.Since(began)) / turns, float64(processor(b)-used) / turns
	}
	never := time.Now().Add(time.Hour)
	kernel := newWakeUp(func() {})
	kernel(scoreboard.Monotonic() + int64(time.Hour))
	var results [6][]float64
	for b.Loop() {
		kernelTook, kernelCPU := round()
		timer := time.AfterFunc(time.Until(never), func() {})
		goTook, goCPU := round()
		timer.Stop()
		for i, result := range []float64{kernelTook, goTook, goTook / kernelTook, kernelCPU, goCPU, goCPU / kernelCPU} {
			results[i] = append(results[i], result)
		}
	}
	for i, unit := range []string{"ns/kernel", "ns/Go", "Go/kernel", "CPU-ns/kernel", "CPU-ns/Go", "CPU-Go/kernel"} {
		slices.Sort(results[i])
		b.ReportMetric(results[i][len(results[i])/2], unit)
	}
}

// pair returns the two ends of a connection, a client that blocks and a server of the
// poller.
func pair(b *testing.B) (client int, server net.Conn) {
	b.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[1]), "server")
	if server, err = net.FileConn(file); err != nil {
		b.Fatal(err)
	}
	file.Close()
	b.Cleanup(func() {
		server.Close()
		unix.Close(fds[0])
	})
	return fds[0], server
}

// processor is how much of its time this process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
