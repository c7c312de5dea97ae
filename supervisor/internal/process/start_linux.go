package process

import "golang.org/x/sys/unix"

// executable is the image that is running, even when its file has been replaced
// by the next version or is gone.
func executable() (string, error) { return "/proc/self/exe", nil }

func onMainThread() bool { return unix.Gettid() == unix.Getpid() }
