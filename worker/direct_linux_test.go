//go:build !race

package worker

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fill writes until there is no room left.
func fill(t testing.TB, c net.Conn) {
	t.Helper()
	c.SetWriteDeadline(time.Now().Add(allowed))
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

// TestDirectLikeNet compares a direct stream with one of package net in all that
// a caller can see.
func TestDirectLikeNet(t *testing.T) {
	buf := make([]byte, 100)
	tests := []struct {
		name string
		do   func(t *testing.T, c, peer stream) (int, error)
	}{
		{"read", func(t *testing.T, c, peer stream) (int, error) {
			peer.Write([]byte("hello"))
			return c.Read(buf)
		}},
		{"read later", func(t *testing.T, c, peer stream) (int, error) {
			time.AfterFunc(allowed, func() { peer.Write([]byte("hello")) })
			return c.Read(buf)
		}},
		{"read into nothing", func(t *testing.T, c, peer stream) (int, error) { return c.Read(nil) }},
		{"read at the end", func(t *testing.T, c, peer stream) (int, error) {
			peer.CloseWrite()
			return c.Read(buf)
		}},
		{"read the rest, then the end", func(t *testing.T, c, peer stream) (int, error) {
			peer.Write([]byte("x"))
			peer.Close()
			n, _ := c.Read(buf)
			m, err := c.Read(buf)
			return 10*n + m, err
		}},
		{"read what is reset", func(t *testing.T, c, peer stream) (int, error) {
			c.Write([]byte("unread"))
			reset(peer)
			return c.Read(buf)
		}},
		{"read past the deadline", func(t *testing.T, c, peer stream) (int, error) {
			c.SetReadDeadline(time.Unix(1, 0))
			return c.Read(buf)
		}},
		{"read up to the deadline", func(t *testing.T, c, peer stream) (int, error) {
			c.SetReadDeadline(time.Now().Add(allowed))
			return c.Read(buf)
		}},
		{"read after closing", func(t *testing.T, c, peer stream) (int, error) {
			c.Close()
			return c.Read(buf)
		}},
		{"read until closing", func(t *testing.T, c, peer stream) (int, error) {
			time.AfterFunc(allowed, func() { c.Close() })
			return c.Read(buf)
		}},
		{"write", func(t *testing.T, c, peer stream) (int, error) { return c.Write(buf) }},
		{"write nothing", func(t *testing.T, c, peer stream) (int, error) { return c.Write(nil) }},
		{"write nothing after closing", func(t *testing.T, c, peer stream) (int, error) {
			c.Close()
			return c.Write(nil)
		}},
		{"write to who has reset", func(t *testing.T, c, peer stream) (int, error) {
			c.Write([]byte("unread"))
			reset(peer)
			c.Read(buf)
			return c.Write(buf)
		}},
		{"write past the deadline", func(t *testing.T, c, peer stream) (int, error) {
			c.SetWriteDeadline(time.Unix(1, 0))
			return c.Write(buf)
		}},
		{"write up to the deadline", func(t *testing.T, c, peer stream) (int, error) {
			fill(t, c)
			c.SetWriteDeadline(time.Now().Add(allowed))
			return c.Write(buf)
		}},
		{"write after closing", func(t *testing.T, c, peer stream) (int, error) {
			c.Close()
			return c.Write(buf)
		}},
		{"write after the end was written", func(t *testing.T, c, peer stream) (int, error) {
			c.CloseWrite()
			return c.Write(buf)
		}},
		{"write until closing", func(t *testing.T, c, peer stream) (int, error) {
			fill(t, c)
			c.SetWriteDeadline(time.Time{})
			time.AfterFunc(allowed, func() { c.Close() })
			return c.Write(buf)
		}},
	}
	// Ports and names differ.
	address := regexp.MustCompile(`[0-9.]+:[0-9]+|/[^ >:]*`)
	for _, network := range []string{"tcp", "unix"} {
		for _, tt := range tests {
			t.Run(network+"/"+tt.name, func(t *testing.T) {
				c, peer := streamPair(t, network)
				n, err := tt.do(t, c, peer)
				c, peer = streamPair(t, network)
				d := newDirect(c)
				if _, ok := d.(*direct); !ok {
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

// TestDirectLarge sends far more than any buffer holds, both ways at once, to a peer
// that reads slowly at first.
func TestDirectLarge(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			c, peer := streamPair(t, network)
			ends := []stream{newDirect(c), peer}
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
					time.Sleep(allowed / 4)
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

// TestDirectWriters has several write at the same time: no piece of one lands inside
// that of another.
func TestDirectWriters(t *testing.T) {
	const writers, size = 4, 3 << 20
	c, peer := streamPair(t, "tcp")
	d := newDirect(c)
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() { d.Write(bytes.Repeat([]byte{byte('a' + i)}, size)) })
	}
	go func() {
		running.Wait()
		d.CloseWrite()
	}()
	got, err := io.ReadAll(peer)
	if err != nil || len(got) != writers*size {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	for i := range writers {
		part := got[i*size : (i+1)*size]
		if bytes.Count(part, part[:1]) != size {
			t.Errorf("write %d is mixed with another", i)
		}
	}
}

// TestDirectOnBlockingSocket has somebody make the socket blocking for all who share
// it. Package net itself would block a thread for ever.
func TestDirectOnBlockingSocket(t *testing.T) {
	c, _ := streamPair(t, "tcp")
	file, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Fatalf("flags %#o, %v: not blocking", flags, err)
	}
	d := newDirect(c)
	done := make(chan error, 2)
	d.SetDeadline(time.Now().Add(allowed))
	go func() {
		_, err := d.Read(make([]byte, 1))
		done <- err
	}()
	go func() {
		_, err := d.Write(make([]byte, 64<<20))
		done <- err
	}()
	for range 2 {
		if err := await(t, done); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want the deadline", err)
		}
	}
}

func TestDirectAllocations(t *testing.T) {
	c, peer := streamPair(t, "tcp")
	d := newDirect(c)
	buf := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		d.Write(buf)
		peer.Write(buf)
		d.Read(buf)
	}); n > 0 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}
