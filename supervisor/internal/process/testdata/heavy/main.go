// A program with the imports of the real one, so that the shim in it has as
// much to come before as it will have there. With arguments WORKER BARE N it
// measures for BenchmarkSpawn, without it does nothing.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/gosuper/gosuper/supervisor/internal/process"
)

func init() { runtime.LockOSThread() }

func main() {
	var count int
	logger := zap.Must(zap.NewProduction())
	http.Handle("/metrics", promhttp.Handler())
	root := &cobra.Command{
		Use:  "heavy WORKER BARE N",
		Args: cobra.MaximumNArgs(3),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) < 3 {
				return nil
			}
			if _, err := toml.Decode("count = "+args[2], &struct{ Count *int }{&count}); err != nil {
				return err
			}
			return measure(args[0], args[1], count)
		},
	}
	if err := root.Execute(); err != nil {
		logger.Fatal(http.StatusText(http.StatusInternalServerError), zap.Error(err))
	}
}

// measure prints medians in nanoseconds. The two are taken in turn, so that
// whatever else the machine does meets both.
func measure(worker, bare string, n int) error {
	var shim, direct, ratio []float64
	for range n {
		// A descriptor that Start is not given reaches the shim, and the
		// worker's exec closes it.
		s, err := untilClosed(false, func(int) (int, error) {
			return process.Start(process.Spec{Path: worker})
		})
		if err != nil {
			return err
		}
		d, err := untilClosed(true, func(w int) (int, error) {
			return syscall.ForkExec(bare, []string{bare}, &syscall.ProcAttr{
				Files: []uintptr{0, 1, 2, uintptr(w)},
				Sys:   &syscall.SysProcAttr{Setsid: true},
			})
		})
		if err != nil {
			return err
		}
		shim, direct, ratio = append(shim, s), append(direct, d), append(ratio, s/d)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"shim": median(shim), "bare": median(direct), "ratio": median(ratio),
	})
}

// untilClosed returns the time from before the fork until the child has closed
// its end of a pipe, and reaps the child.
func untilClosed(cloexec bool, start func(w int) (int, error)) (float64, error) {
	var p [2]int
	if err := syscall.Pipe2(p[:], syscall.O_CLOEXEC); err != nil {
		return 0, err
	}
	if !cloexec {
		syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(p[1]), syscall.F_SETFD, 0)
	}
	begin := time.Now()
	pid, err := start(p[1])
	if err != nil {
		return 0, err
	}
	syscall.Close(p[1])
	if n, err := syscall.Read(p[0], make([]byte, 1)); n != 0 || err != nil {
		return 0, fmt.Errorf("cannot wait for the child: read %s bytes: %w", strconv.Itoa(n), err)
	}
	took := time.Since(begin)
	syscall.Close(p[0])
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil || ws != 0 {
		return 0, fmt.Errorf("cannot measure: child ended with %v, %w", ws, err)
	}
	return float64(took.Nanoseconds()), nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
