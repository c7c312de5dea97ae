package control

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Active knows the connections of an http.Server that are being answered, or may
// be about to ask. http.Server.Shutdown alone drops a request that it has just
// read (golang/go#23829), so what ends gracefully closes its listener, waits for
// Serve to return, by when all connections are known, waits here, and shuts down
// then. The zero value knows of none.
type Active struct {
	mu    sync.Mutex // guards what follows
	conns map[net.Conn]bool
	none  chan struct{} // closed when there are none; nil: nobody waits
}

// Track is the ConnState of the server.
func (a *Active) Track(c net.Conn, state http.ConnState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if state == http.StateNew || state == http.StateActive {
		if a.conns == nil {
			a.conns = map[net.Conn]bool{}
		}
		a.conns[c] = true
		return
	}
	delete(a.conns, c)
	if len(a.conns) == 0 && a.none != nil {
		close(a.none)
		a.none = nil
	}
}

// Wait returns when there are no such connections, or the context is over.
func (a *Active) Wait(ctx context.Context) {
	a.mu.Lock()
	if len(a.conns) == 0 {
		a.mu.Unlock()
		return
	}
	if a.none == nil {
		a.none = make(chan struct{})
	}
	none := a.none
	a.mu.Unlock()
	select {
	case <-none:
	case <-ctx.Done():
	}
}
