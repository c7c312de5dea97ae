package intake

import (
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Another process that has the socket takes O_NONBLOCK away from all, at any time: the
// socket waits for connections all the same.
func TestOpenOfBlocking(t *testing.T) {
	for range 200 {
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		other, err := duplicate(inner.(Listener))
		if err != nil {
			t.Fatal(err)
		}
		var gate Gate
		gate.Init(0, nil, 1)
		began, stop := make(chan struct{}), make(chan struct{})
		var villain sync.WaitGroup
		villain.Go(func() {
			for n := 0; ; n++ {
				_ = unix.SetNonblock(other, false)
				if n == 0 {
					close(began)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		<-began
		s, err := New(inner.(Listener), Terms{Gate: &gate, Open: func() int { return 0 }, Force: func() bool { return false }})
		close(stop)
		villain.Wait()
		if err != nil {
			t.Fatal(err)
		}
		// The master mends it.
		if err := unix.SetNonblock(other, true); err != nil {
			t.Fatal(err)
		}
		client := make(chan error, 1)
		go func() {
			conn, err := net.Dial("tcp", s.Addr().String())
			if err == nil {
				conn.Close()
			}
			client <- err
		}()
		conn, err := s.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if err := <-client; err != nil {
			t.Error(err)
		}
		s.Close()
		unix.Close(other)
	}
}
