package loop

import "time"

// An Errand is begun by the owner when all errands before it are over. It returns
// what another goroutine is to do, which may take as long as a file system does;
// nil: nothing.
type Errand func() Work

// Work is what the goroutine does. It returns what the owner is to do then.
type Work func() (then func())

// errands are those to be done, in their order.
type errands struct {
	waiting []Errand
	busy    int                                     // how many have begun and are not over
	most    int                                     // that busy may be
	begin   func(work Work, over func(then func())) // has a goroutine do it
}

// mainAhead is how many errands of the main goroutine may have begun: while the owner
// does not get a processor that goroutine has something to do all the same.
const mainAhead = 16

// Send has an errand done, at once if there is nothing to wait for. Only the owner
// may call it, and an errand that begins.
func (l *Loop) Send(e Errand) { l.errands.send(e) }

// SendMain is Send for work that only the goroutine of [Loop.ServeMain] can do. The
// works of such errands are done one after the other, and wait for no others; some of
// them may have begun before the first is over.
func (l *Loop) SendMain(e Errand) { l.main.send(e) }

func (d *errands) send(e Errand) {
	d.waiting = append(d.waiting, e)
	d.next()
}

// next begins errands, as many as may have begun.
func (d *errands) next() {
	for d.busy < d.most && len(d.waiting) > 0 {
		begin := d.waiting[0]
		d.waiting = d.waiting[1:]
		d.busy++
		if work := begin(); work == nil {
			d.busy--
		} else {
			d.begin(work, d.over)
		}
	}
}

// over is the end of an errand.
func (d *errands) over(then func()) {
	then()
	d.busy--
	d.next()
}

// ServeMain does what [Loop.SendMain] and [Loop.OnMain] are for until the owner has
// ended. It is called by the main goroutine, locked to the main thread: there are
// things in Linux that a process does by one certain thread.
func (l *Loop) ServeMain() {
	for {
		select {
		case work := <-l.work:
			work()
		case <-l.ended:
			return
		}
	}
}

// OnMain has the goroutine of [Loop.ServeMain] call do, and waits for that. Only the
// owner may call it, while MainBusy says no.
func (l *Loop) OnMain(do func()) {
	done := make(chan struct{})
	l.work <- func() { defer close(done); do() }
	<-done
}

// MainBusy is [Loop.Busy] for errands of [Loop.SendMain].
func (l *Loop) MainBusy() bool { return l.main.busy > 0 }

// Afterwards has the owner do something when all errands up to now are over.
func (l *Loop) Afterwards(do func()) {
	l.Send(func() Work {
		do()
		return nil
	})
}

// Busy says whether an errand is not over. Only the owner may call it.
func (l *Loop) Busy() bool { return l.errands.busy > 0 }

// Await does what goroutines ask for until over is closed, or for so long at most. Only
// the owner may call it.
func (l *Loop) Await(over <-chan struct{}, atMost time.Duration) {
	limit := time.NewTimer(atMost)
	defer limit.Stop()
	for {
		select {
		case do := <-l.C:
			do()
		case <-over:
			return
		case <-limit.C:
			return
		}
	}
}

// Finish does what goroutines ask for until all errands are over, or for so long at
// most: a file system that does not answer is not waited for. Those of the main
// goroutine that have not begun never will. Only the owner may call it.
func (l *Loop) Finish(atMost time.Duration) {
	limit := time.NewTimer(atMost)
	defer limit.Stop()
	l.main.waiting = nil
	for l.Busy() || l.MainBusy() {
		select {
		case do := <-l.C:
			do()
		case do := <-l.Main:
			do()
		case <-limit.C:
			return
		}
	}
}
