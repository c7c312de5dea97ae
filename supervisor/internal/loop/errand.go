package loop

import "time"

// An Errand is begun by the owner when all errands before it are over. It returns
// what another goroutine is to do, which may take as long as a file system does;
// nil: nothing.
type Errand func() Work

// Work is what the goroutine does. It returns what the owner is to do then.
type Work func() (then func())

// errands are those to be done.
type errands struct {
	waiting []Errand
	busy    bool
}

// Send has an errand done, at once if there is nothing to wait for. Only the owner
// may call it, and an errand that begins.
func (l *Loop) Send(e Errand) {
	l.errands.waiting = append(l.errands.waiting, e)
	if !l.errands.busy {
		l.next()
	}
}

// next begins the next errand that takes a goroutine.
func (l *Loop) next() {
	d := &l.errands
	for d.busy = true; len(d.waiting) > 0; {
		begin := d.waiting[0]
		d.waiting = d.waiting[1:]
		if work := begin(); work != nil {
			go func() {
				then := work()
				l.Report(func() {
					then()
					l.next()
				})
			}()
			return
		}
	}
	d.busy = false
}

// Afterwards has the owner do something when all errands up to now are over.
func (l *Loop) Afterwards(do func()) {
	l.Send(func() Work {
		do()
		return nil
	})
}

// Busy says whether an errand is not over. Only the owner may call it.
func (l *Loop) Busy() bool { return l.errands.busy }

// Finish does what goroutines ask for until all errands are over, or for so long at
// most: a file system that does not answer is not waited for. Only the owner may call
// it.
func (l *Loop) Finish(atMost time.Duration) {
	limit := time.NewTimer(atMost)
	defer limit.Stop()
	for l.errands.busy {
		select {
		case do := <-l.C:
			do()
		case <-limit.C:
			return
		}
	}
}
