package intake

// Hold has no listener accept anything, nor the others see this worker, until Release.
func (g *Gate) Hold() { g.held.Store(true) }

// Held reports whether that is so.
func (g *Gate) Held() bool { return g.held.Load() }

// Release has the listeners accept from now on.
func (g *Gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.held.Swap(false) {
		return
	}
	g.occupy()
	for _, c := range g.wakes {
		wake(c)
	}
}
