//go:build unix

package worker

import (
	"cmp"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gosuper/gosuper/worker/internal/clock"
	"github.com/gosuper/gosuper/worker/internal/exchange"
	"github.com/gosuper/gosuper/worker/internal/intake"
	"github.com/gosuper/gosuper/worker/internal/role"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// The header is on the board before main begins, unless the program is a plain worker
// until it says otherwise. All the rest is taken when it is first used: a program may link
// this package, and what it is given may be for somebody else in it.
var announced = sync.OnceValue(announce)

func init() {
	if !role.Plain {
		announced()
	}
}

// self is this process.
var self = sync.OnceValue(func() *process { return newProcess(inherit(announced())) })

// A process is one worker: what it inherited, and how far its life has got.
type process struct {
	inheritance
	broken   error // why this process cannot be a worker, or nil
	board    *scoreboard.Board
	reporter reporter
	gate     intake.Gate
	server   *exchange.Server
	beats    clock.Alarm

	watching sync.Once

	draining chan struct{} // closed when the drain begins
	drains   atomic.Bool   // the same, cheap enough for every request
	began    time.Time     // when; written before draining is closed
	orphaned atomic.Int64  // when the master went, in Monotonic nanoseconds, or 0

	readying sync.Mutex // held while READY=1 is sent; guards ready
	ready    bool

	busyAt atomic.Uint64 // requests in flight of which the master is to hear, 0: of none

	recycling sync.Mutex // held while a reason is sent; guards recycled
	recycled  bool

	mu        sync.Mutex // guards what follows, and the board's state
	listeners []*listener
	taken     bool // the inherited sockets have been handed out
}

func newProcess(in inheritance, err error) *process {
	p := &process{
		inheritance: in,
		broken:      err,
		board:       in.board,
		reporter:    reporter{fd: in.notifyFD, address: in.notify},
		draining:    make(chan struct{}),
	}
	if p.board == nil {
		p.board = scoreboard.Unshared()
	}
	p.server = exchange.New(exchange.Terms{
		Board: p.board, Limits: &p.limits, Gate: &p.gate, Access: in.access, Backlog: in.backlog,
		Draining: p.drains.Load, Over: p.over, Begun: p.begun,
		Failures: in.maxFailures, Failing: p.failing,
	})
	p.beats.Init(func(int64) { p.beat() })
	p.beat()
	var place *scoreboard.Place
	if in.fleet != nil {
		place = in.fleet.Place(in.place)
	}
	p.gate.Init(in.connections, place, in.id)
	if p.board.Holds() {
		p.gate.Hold()
	}
	return p
}

// beat gives a sign of life on the board twice as often as the master looks for one:
// it says that this process gets to run and that its scheduler works.
func (p *process) beat() {
	if p.watchdog > 0 {
		p.board.Beat()
		p.beats.By(scoreboard.Monotonic() + int64(p.watchdog/2))
	}
}

// Ready tells the master that this worker is ready for requests. ListenAndServe
// and Serve do so themselves once they accept; servers of other kinds call it
// after their own start. Further calls do nothing, and so does a call without a
// master or while draining. The error is that of the message: without it the
// master goes on waiting until startup_timeout.
func Ready() error { return self().setReady() }

// Draining returns a channel that is closed when this worker has been told to
// finish. Streams watch it and come to an end that the client understands;
// requests that end by themselves need not. From the first call of Draining,
// Listeners, Serve or ListenAndServe on, the stop signal no longer ends the
// process but closes this channel; run alone, that is SIGTERM and SIGINT.
func Draining() <-chan struct{} {
	p := self()
	p.watch()
	return p.draining
}

func (p *process) setReady() error {
	if p.broken != nil {
		return p.broken
	}
	p.readying.Lock()
	defer p.readying.Unlock()
	if p.ready || p.drains.Load() {
		return nil
	}
	p.mu.Lock()
	if !p.drains.Load() {
		p.board.SetState(scoreboard.Ready)
	}
	p.mu.Unlock()
	if err := p.reporter.send(protocol.NotifyReady, sendTimeout); err != nil {
		return err
	}
	p.ready = true
	return nil
}

// Recycle asks the master to replace this worker when convenient, for a reason of its
// own: a model that is stale, memory that leaks, a device that fails. It serves on until
// its replacement is ready, and is then told to drain. The reason is a word or two of at
// most 32 letters and digits, such as "stale_model", which the log tells.
// The master grants one such wish in each slot within restart.reset_after and lets the
// next one wait so long.
//
// The first call that reaches the master counts, further ones do nothing, and so does
// one without a master. The error is that of the message.
func Recycle(reason string) error { return self().recycle(reason) }

func (p *process) recycle(reason string) error {
	if p.broken != nil {
		return p.broken
	}
	p.recycling.Lock()
	defer p.recycling.Unlock()
	if p.recycled || p.drains.Load() {
		return nil
	}
	if err := p.reporter.send(protocol.NotifyRecycle+word(reason), sendTimeout); err != nil {
		return err
	}
	p.recycled = true
	return nil
}

// Fail tells the master that this worker can serve nobody any more: its device is gone, say,
// or what it works with has died. The worker drains as if it had been told to, and should
// then end with a status that says what happened. To the master it has crashed, and another
// one is started at once, or after the backoff of a crash loop. When Fail returns, the
// listeners accept nothing any more. The error is that of the message.
func Fail() error { return self().fail() }

func (p *process) fail() error {
	if p.broken != nil {
		return p.broken
	}
	p.watch()
	if p.drains.Load() {
		return nil
	}
	err := p.reporter.send(protocol.NotifyFailed, sendTimeout)
	p.drain()
	return err
}

// longestReason is how much of a reason the master takes, in bytes.
const longestReason = 32

// word makes a reason what the master takes for one: small letters, digits and
// underscores. Whatever stands between words becomes an underscore.
func word(reason string) string {
	parts := strings.FieldsFunc(strings.ToLower(reason), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	reason = strings.Join(parts, "_")
	return cmp.Or(reason[:min(len(reason), longestReason)], "worker")
}

// begun asks for a replacement when the last request of this worker's own limit begins, and
// says that this worker is busy, if it is and the master wants to know.
func (p *process) begun(number uint64) {
	p.tellBusy()
	if number == p.maxRequests {
		// Elsewhere, since a master that does not read must not hold up the request.
		// A lost message costs no more than a worker that lives on.
		go func() { _ = p.reporter.send(protocol.NotifyRecycle+protocol.RecycleMaxRequests, sendTimeout) }()
	}
}

// tellBusy says that as many requests are in flight as the master wants to hear of, once.
func (p *process) tellBusy() {
	if n := p.busyAt.Load(); n != 0 && p.board.InFlight() >= n && p.busyAt.CompareAndSwap(n, 0) {
		go func() { _ = p.reporter.send(protocol.NotifyBusy, sendTimeout) }() // as with begun
	}
}

// failing says that the board shows as many failures in a row as it may.
func (p *process) failing() {
	go func() { _ = p.reporter.send(protocol.NotifyFailing, sendTimeout) }() // as with begun
}

// watch takes over the stop signal and begins the drain when it comes, or when the
// master is gone.
func (p *process) watch() {
	p.watching.Do(func() {
		stop := []os.Signal{syscall.SIGTERM}
		if p.stop != 0 {
			stop = append(stop, p.stop)
		}
		if !p.supervised {
			stop = append(stop, syscall.SIGINT)
		}
		// Never stopped: a second signal must not fall back to killing the process.
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, stop...)
		go func() {
			<-signals
			p.drain()
		}()
		// An error is not lost: READY=1 fails with it.
		if conn, _ := p.reporter.connect(); conn != nil {
			p.board.CanTell()
			go func() {
				p.hear(conn)
				p.orphaned.Store(scoreboard.Monotonic())
				p.drain()
			}()
		}
	})
}

// hear returns when the master no longer holds its end. Whatever the master sends
// before, the words on the board say what it means.
func (p *process) hear(conn *net.UnixConn) {
	var buf [256]byte
	for {
		if _, err := conn.Read(buf[:]); err != nil {
			return
		}
		p.look()
	}
}

// look sees of how many requests the master wants to hear, and whether this worker is a
// spare no more.
func (p *process) look() {
	p.busyAt.Store(p.board.BusyAt())
	p.tellBusy()
	if !p.gate.Held() || p.board.Holds() {
		return
	}
	if slot, ok := p.board.Slot(); ok {
		os.Setenv(protocol.EnvSlot, strconv.Itoa(slot)) // for the application
	}
	p.gate.Release()
}

// drain begins the drain and returns; Serve brings it to its end.
func (p *process) drain() {
	p.mu.Lock()
	if p.drains.Load() {
		p.mu.Unlock()
		return
	}
	p.began = time.Now()
	p.server.TakeTurns(min(protocol.TurnSpan, time.Until(p.deadline())/4))
	p.drains.Store(true)
	p.board.SetState(scoreboard.Draining)
	listeners := p.listeners
	p.mu.Unlock()
	p.gate.Retire()

	// First, since the process may end as soon as draining is closed. A master that
	// does not hear it has asked for the drain itself, or is gone.
	_ = p.reporter.send(protocol.NotifyStopping, stoppingTimeout)
	close(p.draining)
	for _, l := range listeners {
		p.drainListener(l)
	}
}

// quietOwn is protocol.QuietQueue of a socket that only this process holds, on which
// whoever comes later would find nobody anyway.
const quietOwn = 100 * time.Millisecond

// drainListener closes the socket, or has it accepted empty where nobody else will take
// what waits in its queue.
func (p *process) drainListener(l *listener) {
	switch {
	case p.gate.Held():
		l.Close() // what waits is for others
	case l.index < 0:
		l.unlink()
		l.empty(quietOwn, p.began.Add(protocol.QuietQueue))
	case p.board.Leaving(l.index):
		// Should connections keep coming, half of the time is for answering them.
		l.empty(protocol.QuietQueue, time.Now().Add(time.Until(p.deadline())/2))
	default:
		l.Close()
	}
}

// deadline is when the drain must be over. The master may move it during the
// drain.
func (p *process) deadline() time.Time {
	until := p.began.Add(protocol.UnboundedDrain)
	if ns := p.board.DrainUntil(); ns != 0 {
		until = fromMonotonic(ns).Add(-protocol.DrainMargin)
	}
	if ns := p.orphaned.Load(); ns != 0 {
		if orphaned := fromMonotonic(ns).Add(protocol.OrphanGrace); orphaned.Before(until) {
			until = orphaned
		}
	}
	return until
}

// over reports whether the drain under way must be.
func (p *process) over() bool { return time.Now().After(p.deadline()) }

func fromMonotonic(ns int64) time.Time {
	return time.Now().Add(time.Duration(ns - scoreboard.Monotonic()))
}
