package config

// compareLimits checks what the limits of a worker's life say together.
func (l *loader) compareLimits() {
	c := l.config
	if c.Limits.NoNewPrivs.Auto {
		c.Limits.NoNewPrivs.On = c.User != ""
	}
	if c.MaxRequestsJitter > 0 && c.MaxRequests == 0 && l.sound("max_requests", "max_requests_jitter") {
		l.warn("max_requests_jitter has no effect while max_requests is 0")
	}
	if c.MaxWorkerLifetimeJitter > 0 && c.MaxWorkerLifetime == 0 && l.sound("max_worker_lifetime", "max_worker_lifetime_jitter") {
		l.warn("max_worker_lifetime_jitter has no effect while max_worker_lifetime is 0")
	}
	soft, hard := c.MaxWorkerMemory, c.MaxWorkerMemoryHard
	if hard > 0 && hard <= soft && l.sound("max_worker_memory", "max_worker_memory_hard") {
		l.fail(l.stronger("max_worker_memory", "max_worker_memory_hard"),
			wrong("", "max_worker_memory_hard (%s) must be above max_worker_memory (%s), or no worker is ever replaced gracefully", hard, soft))
	}
	if c.WorkerMemory > 0 && c.Workers.Fixed() && c.WorkersMax == 0 && c.Surge.N == 0 && c.Spares == 0 && l.sound("worker_memory", "workers", "surge", "spares") {
		l.warn("worker_memory has no effect while workers is a number, and neither surge nor spares add to them")
	}
}
