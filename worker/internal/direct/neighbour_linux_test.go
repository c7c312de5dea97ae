//go:build !race && !msan && !asan

package direct

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestNeighbour compares, while the collector works without a pause, how long somebody
// waits whose connections are nobody's business here, with and without direct streams
// beside.
func TestNeighbour(t *testing.T) {
	const (
		busy    = 8
		rounds  = 6
		answers = 500 // in a round
	)
	// Much to mark, each time that little is new.
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	ballast := make([]*[512]*byte, 4<<10)
	for i := range ballast {
		ballast[i] = new([512]*byte)
	}
	defer runtime.KeepAlive(ballast)
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)

	client, server := pair(t, "tcp")
	go echo(server, 1)
	collected := heap.NumGC
	var took [2][]time.Duration // without, with
	for round := range 2 * rounds {
		with := (round + round/2) % 2
		end := crowd(t, busy, with == 1)
		for range answers {
			began := time.Now()
			if err := turn(client, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			took[with] = append(took[with], time.Since(began))
		}
		end()
	}
	if runtime.ReadMemStats(&heap); heap.NumGC-collected < 2*rounds {
		t.Errorf("only %d collections: this tells nothing", heap.NumGC-collected)
	}
	tail := func(d []time.Duration) time.Duration {
		slices.SortFunc(d, cmp.Compare[time.Duration])
		return d[len(d)*999/1000]
	}
	without, with := tail(took[0]), tail(took[1])
	t.Logf("p99.9 of a neighbour: %v, and %v beside direct streams; %d collections", without, with, heap.NumGC-collected)
	if with > 10*without {
		t.Errorf("p99.9 of a neighbour is %v, and %v beside direct streams", without, with)
	}
}

// crowd has so many connections busy, with small answers that leave garbage behind. The
// function that it returns ends them.
func crowd(t *testing.T, n int, direct bool) (end func()) {
	var running sync.WaitGroup
	var ends []Stream
	for range n {
		client, server := pair(t, "tcp")
		ends = append(ends, client)
		if direct {
			server = New(server)
		}
		running.Go(func() { echo(server, 4<<10) })
		running.Go(func() {
			for data := make([]byte, 100); turn(client, data) == nil; {
			}
		})
	}
	return func() {
		for _, client := range ends {
			client.Close()
		}
		running.Wait()
	}
}

// garbage keeps what echo leaves behind from being on the stack.
var garbage = make(chan []byte, 1)

// echo sends back what it gets.
func echo(c Stream, leaves int) {
	for data := make([]byte, 100); ; {
		n, err := c.Read(data)
		if err != nil {
			return
		}
		select {
		case garbage <- make([]byte, leaves):
		case <-garbage:
		}
		if _, err := c.Write(data[:n]); err != nil {
			return
		}
	}
}

// turn sends data and waits until as much has come back.
func turn(c Stream, data []byte) error {
	if _, err := c.Write(data); err != nil {
		return err
	}
	for n := 0; n < len(data); {
		m, err := c.Read(data[n:])
		if err != nil {
			return err
		}
		n += m
	}
	return nil
}
