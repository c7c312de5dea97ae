package config

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// TestUnreadableFile: root may read everything, so it reads as somebody else.
func TestUnreadableFile(t *testing.T) {
	file := write(t, "s.toml", "")
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		runtime.LockOSThread() // which ends with the goroutine
		if os.Geteuid() == 0 {
			syscall.Setfsuid(65534)
		}
		got <- loadError(Source{File: file}).Error()
	}()
	if got, want := <-got, file+": cannot read the configuration: permission denied"; got != want {
		t.Errorf("got %s", got)
	}
}
