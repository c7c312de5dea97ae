package config

import (
	"cmp"
	"time"
)

// unlimitedDrain is what an automatic drain_timeout gives to requests that have
// all the time they want: a reload must end some day.
const unlimitedDrain = 2 * time.Minute

// developmentDrain is what it gives where the developer waits for the new code:
// a browser keeps its connection, and so the old code, for as long as that. A
// stream that nobody would end by hand must not hold up the next reload either.
const developmentDrain = time.Second

// chooseTimeouts computes the automatic timeouts.
func (l *loader) chooseTimeouts() {
	c := l.config
	if c.StreamTimeout.Auto {
		c.StreamTimeout.Duration = c.Timeout
	}
	if c.DrainTimeout.Auto && c.Reload {
		c.DrainTimeout.Duration = developmentDrain
	} else if c.DrainTimeout.Auto {
		c.DrainTimeout.Duration = max(cmp.Or(c.Timeout, unlimitedDrain), c.GracefulTimeout)
	}
}

// compareTimeouts warns of limits that can hardly be meant together. Only what
// somebody wrote is compared: a default is nobody's intention.
func (l *loader) compareTimeouts() {
	c := l.config
	if !c.DrainTimeout.Auto && c.DrainTimeout.Duration < c.Timeout && l.written("drain_timeout", "timeout") {
		l.warn("drain_timeout (%s) is below timeout (%s): a reload cuts requests that timeout would let finish",
			formatDuration(c.DrainTimeout.Duration), formatDuration(c.Timeout))
	}
	if c.RequestTimeout == 0 || !l.written("request_timeout") {
		return
	}
	pointless := func(key string, limit time.Duration) {
		if limit > c.RequestTimeout && l.written(key) {
			l.warn("%s (%s) has no effect: request_timeout (%s) ends every request before",
				key, formatDuration(limit), formatDuration(c.RequestTimeout))
		}
	}
	pointless("timeout", c.Timeout)
	if !c.StreamTimeout.Auto {
		pointless("stream_timeout", c.StreamTimeout.Duration)
	}
	pointless("upgrade_timeout", c.UpgradeTimeout)
}

// written reports whether all of the keys were set by somebody, and well.
func (l *loader) written(keys ...string) bool {
	for _, k := range keys {
		if _, ok := l.origins[k]; !ok {
			return false
		}
	}
	return l.sound(keys...)
}
