//go:build linux

package process

import (
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
)

func TestListening(t *testing.T) {
	var inodes []uint64
	var want []string
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		raw, err := l.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var st syscall.Stat_t
		if err := raw.Control(func(fd uintptr) { err = syscall.Fstat(int(fd), &st) }); err != nil {
			t.Fatal(err)
		}
		inodes, want = append(inodes, st.Ino), append(want, l.Addr().String())
	}
	for _, text := range want {
		if got := waiting(t, os.Getpid(), []uint64{1}, nil).Elsewhere; !slices.Contains(got, text) {
			t.Errorf("listens on %q, want %q among them", got, text)
		}
	}
	if got := waiting(t, os.Getpid(), inodes, nil).Elsewhere; slices.Contains(got, want[0]) || slices.Contains(got, want[1]) {
		t.Errorf("listens on %q, of which %q were to be left out", got, want)
	}
}
