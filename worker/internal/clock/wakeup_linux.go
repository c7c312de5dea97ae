package clock

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// newWakeUp is newTimer by a timer of the kernel's, whose descriptor the runtime's
// poller waits for as it does for those of connections.
func newWakeUp(ring func()) func(at int64) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return newTimer(ring) // no descriptor is left
	}
	file := os.NewFile(uintptr(fd), "alarms")
	if file.SetReadDeadline(time.Time{}) != nil {
		file.Close()
		return newTimer(ring) // the poller does not take it
	}
	go func() {
		// Until somebody closes a descriptor that is none of theirs.
		for count := make([]byte, 8); ; ring() {
			if _, err := file.Read(count); err != nil {
				return
			}
		}
	}()
	return func(at int64) {
		// Cannot fail. What has not been read of an earlier time is gone with it.
		_ = unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, &unix.ItimerSpec{Value: unix.NsecToTimespec(at)}, nil)
	}
}
