//go:build !race && !msan && !asan

package direct

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	limit   = 500 * time.Millisecond // that tests wait for, to see that nothing happens
	forever = time.Minute
)

// pair returns the two ends of a connection.
func pair(t testing.TB, network string) (Stream, Stream) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		peer.Close()
	})
	return conn.(Stream), peer.(Stream)
}

// fill writes until there is no room left.
func fill(t testing.TB, c net.Conn) {
	t.Helper()
	c.SetWriteDeadline(time.Now().Add(limit))
	for {
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			return
		}
	}
}

// reset closes a connection so that the other end gets a reset.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// TestLikeNet compares a direct stream with one of package net in all that
// a caller can see.
func TestLikeNet(t *testing.T) {
	buf := make([]byte, 100)
	tests := []struct {
		name string
		do   func(t *testing.T, c, peer Stream) (int, error)
	}{
		{"read", func(t *testing.T, c, peer Stream) (int, error) {
			peer.Write([]byte("hello"))
			return c.Read(buf)
		}},
		{"read later", func(t *testing.T, c, peer Stream) (int, error) {
			time.AfterFunc(limit, func() { peer.Write([]byte("hello")) })
			return c.Read(buf)
		}},
		{"read into nothing", func(t *testing.T, c, peer Stream) (int, error) { return c.Read(nil) }},
		{"read at the end", func(t *testing.T, c, peer Stream) (int, error) {
			peer.CloseWrite()
			return c.Read(buf)
		}},
		{"read the rest, then the end", func(t *testing.T, c, peer Stream) (int, error) {
			peer.Write([]byte("x"))
			peer.Close()
			n, _ := c.Read(buf)
			m, err := c.Read(buf)
			return 10*n + m, err
		}},
		{"read what is reset", func(t *testing.T, c, peer Stream) (int, error) {
			c.Write([]byte("unread"))
			reset(peer)
			return c.Read(buf)
		}},
		{"read past the deadline", func(t *testing.T, c, peer Stream) (int, error) {
			c.SetReadDeadline(time.Unix(1, 0))
			return c.Read(buf)
		}},
		{"read up to the deadline", func(t *testing.T, c, peer Stream) (int, error) {
			c.SetReadDeadline(time.Now().Add(limit))
			return c.Read(buf)
		}},
		{"read after closing", func(t *testing.T, c, peer Stream) (int, error) {
			c.Close()
			return c.Read(buf)
		}},
		{"read until closing", func(t *testing.T, c, peer Stream) (int, error) {
			time.AfterFunc(limit, func() { c.Close() })
			return c.Read(buf)
		}},
		{"write", func(t *testing.T, c, peer Stream) (int, error) { return c.Write(buf) }},
		{"write nothing", func(t *testing.T, c, peer Stream) (int, error) { return c.Write(nil) }},
		{"write nothing after closing", func(t *testing.T, c, peer Stream) (int, error) {
			c.Close()
			return c.Write(nil)
		}},
		{"write to who has reset", func(t *testing.T, c, peer Stream) (int, error) {
			c.Write([]byte("unread"))
			reset(peer)
			c.Read(buf)
			return c.Write(buf)
		}},
		{"write past the deadline", func(t *testing.T, c, peer Stream) (int, error) {
			c.SetWriteDeadline(time.Unix(1, 0))
			return c.Write(buf)
		}},
		{"write up to the deadline", func(t *testing.T, c, peer Stream) (int, error) {
			fill(t, c)
			c.SetWriteDeadline(time.Now().Add(limit))
			return c.Write(buf)
		}},
		{"write after closing", func(t *testing.T, c, peer Stream) (int, error) {
			c.Close()
			return c.Write(buf)
		}},
		{"write after the end was written", func(t *testing.T, c, peer Stream) (int, error) {
			c.CloseWrite()
			return c.Write(buf)
		}},
		{"write until closing", func(t *testing.T, c, peer Stream) (int, error) {
			fill(t, c)
			c.SetWriteDeadline(time.Time{})
			time.AfterFunc(limit, func() { c.Close() })
			return c.Write(buf)
		}},
	}
	// Ports and names differ.
	address := regexp.MustCompile(`[0-9.]+:[0-9]+|/[^ >:]*`)
	for _, network := range []string{"tcp", "unix"} {
		for _, tt := range tests {
			t.Run(network+"/"+tt.name, func(t *testing.T) {
				c, peer := pair(t, network)
				n, err := tt.do(t, c, peer)
				c, peer = pair(t, network)
				d := New(c)
				if _, ok := d.(*stream); !ok {
					t.Fatalf("a %T", d)
				}
				directN, directErr := tt.do(t, d, peer)
				if n != directN || errorText(address, err) != errorText(address, directErr) {
					t.Errorf("%d, %v, and directly %d, %v", n, err, directN, directErr)
				}
				if (err == io.EOF) != (directErr == io.EOF) {
					t.Errorf("%#v, and directly %#v", err, directErr)
				}
				for _, target := range []error{net.ErrClosed, os.ErrDeadlineExceeded, unix.ECONNRESET, unix.EPIPE} {
					if errors.Is(err, target) != errors.Is(directErr, target) {
						t.Errorf("only one of %v and %v is %v", err, directErr, target)
					}
				}
			})
		}
	}
}

func errorText(address *regexp.Regexp, err error) string {
	if err == nil {
		return ""
	}
	return address.ReplaceAllString(err.Error(), "ADDRESS")
}

// TestLarge sends far more than any buffer holds, both ways at once, to a peer
// that reads slowly at first.
func TestLarge(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			c, peer := pair(t, network)
			ends := []Stream{New(c), peer}
			data := []byte(strings.Repeat("0123456789abcdef!", 2<<20))
			var running sync.WaitGroup
			for i, end := range ends {
				running.Go(func() {
					if n, err := end.Write(data); n != len(data) || err != nil {
						t.Errorf("end %d: write: %d, %v", i, n, err)
					}
					end.CloseWrite()
				})
				running.Go(func() {
					time.Sleep(limit / 4) // so that the writers fill what there is
					got, err := io.ReadAll(end)
					if err != nil || !bytes.Equal(got, data) {
						t.Errorf("end %d: read %d bytes, want %d equal ones: %v", i, len(got), len(data), err)
					}
				})
			}
			running.Wait()
		})
	}
}

// TestWriters has several write at the same time: none lands inside of another.
func TestWriters(t *testing.T) {
	const writers, total = 4, 6 << 20
	for _, size := range []int{small, 3 << 20} {
		c, peer := pair(t, "tcp")
		d := New(c)
		var running sync.WaitGroup
		for i := range writers {
			running.Go(func() {
				for range total / size {
					d.Write(bytes.Repeat([]byte{byte('a' + i)}, size))
				}
			})
		}
		go func() {
			running.Wait()
			d.CloseWrite()
		}()
		got, err := io.ReadAll(peer)
		if err != nil || len(got) != writers*total {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		for part := range slices.Chunk(got, size) {
			if bytes.Count(part, part[:1]) != size {
				t.Fatalf("writes of %d bytes are mixed with each other", size)
			}
		}
	}
}

// TestOnBlockingSocket has somebody make the socket blocking for all who share
// it. Package net itself would block a thread for ever.
func TestOnBlockingSocket(t *testing.T) {
	c, _ := pair(t, "tcp")
	file, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Fatalf("flags %#o, %v: not blocking", flags, err)
	}
	d := New(c)
	for _, size := range []int{small, 64 << 20} {
		d.SetDeadline(time.Now().Add(limit))
		done := make(chan error, 2)
		go func() {
			_, err := d.Read(make([]byte, size))
			done <- err
		}()
		go func() {
			var err error
			for err == nil {
				_, err = d.Write(make([]byte, size))
			}
			done <- err
		}()
		for range 2 {
			select {
			case err := <-done:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%v, want the deadline", err)
				}
			case <-time.After(forever):
				t.Fatal("the deadline does not come")
			}
		}
	}
}

// TestAnnounced: the scheduler is told of calls that are large.
func TestAnnounced(t *testing.T) {
	for _, size := range []int{1, small, small + 1, piece + 1} {
		c, peer := pair(t, "tcp")
		d := New(c).(*stream)
		data := make([]byte, size)
		var running sync.WaitGroup
		running.Go(func() { io.CopyN(peer, peer, int64(size)) })
		if _, err := d.Write(data); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Read(data); err != nil {
			t.Fatal(err)
		}
		running.Wait()
		if want := size > small; d.out.announced != want || d.in.announced != want {
			t.Errorf("of %d bytes: write announced %v, read announced %v", size, d.out.announced, d.in.announced)
		}
	}
}

// TestOff: the environment leaves all to package net.
func TestOff(t *testing.T) {
	c, _ := pair(t, "tcp")
	const child = "DIRECT_TEST_OFF"
	if os.Getenv(child) != "" {
		if New(c) != c {
			t.Error("it is not off")
		}
		return
	}
	for _, list := range []string{"direct=0", "other=1,direct=0"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestOff$")
		cmd.Env = append(os.Environ(), child+"=1", "GOSUPERDEBUG="+list)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("GOSUPERDEBUG=%s: %v\n%s", list, err, out)
		}
	}
}

func TestAllocations(t *testing.T) {
	c, peer := pair(t, "tcp")
	d := New(c)
	buf := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		d.Write(buf)
		peer.Write(buf)
		d.Read(buf)
	}); n > 0 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}
