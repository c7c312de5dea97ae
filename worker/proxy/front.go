//go:build linux

package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gosuper/gosuper/worker"
	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/resident"
)

func init() {
	if len(os.Args) == 0 {
		return
	}
	switch os.Args[0] {
	case Name:
		os.Exit(run(os.Args[1:]))
	case confinedName:
		os.Exit(confine(os.Args[1:]))
	}
}

// A front is the worker: what serves, and the program behind it.
type front struct {
	options  options
	place    *place
	program  *program
	upstream *upstream
	secret   secret
	pulse    pulse
	failures complaints
}

// gcPercent is how much a front allocates before it looks for garbage, of what it has in
// use: there is one for each worker, and the memory is better used by the program.
const gcPercent = 50

// run is a front from its start to its end, and returns its exit status.
func run(args []string) int {
	o, err := parse(args)
	if err == nil && os.Getenv(protocol.EnvWorkerID) == "" {
		err = errors.New(`it is started by gosuper, with worker_class = "proxy"`)
	}
	if err != nil {
		complain("%v", err)
		return 2
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	master := os.Getenv(protocol.EnvNotifySocket)
	// From here on the stop signal begins the drain, and no child inherits what is this
	// worker's.
	draining := worker.Draining()
	f := &front{options: o, secret: takeSecret()}
	if f.place, err = reserve(o.to); err != nil {
		complain("%v", err)
		return 1
	}
	defer f.place.close()
	if f.place.reports, err = hearReports(master); err != nil {
		complain("%v", err)
		return 1
	}
	f.upstream = &upstream{network: f.place.network, address: f.place.address, timeout: o.connectTimeout}
	f.pulse.upstream = f.upstream
	if f.program, err = start(o, f.place); err != nil {
		complain("%v", err)
		return exitOf(err)
	}
	f.passAbort()
	switch err := f.await(draining); {
	case errors.Is(err, errEnded):
		complain("the program ended before it was ready: %s", f.program.end())
		f.place.close()
		return f.program.follow()
	case errors.Is(err, errStopped):
		return f.stop()
	}
	f.pulse.learn()
	if o.successor {
		f.upstream.others = &others{program: f.program, draining: draining, fail: worker.Fail, secret: f.secret}
	}
	resident.Trim() // of what only the start needed
	return f.serve()
}

// passAbort passes the abort signal on, for the stacks that matter are the program's.
func (f *front) passAbort() {
	aborts := make(chan os.Signal, 1)
	signal.Notify(aborts, f.options.abort)
	go func() {
		for range aborts {
			f.program.signal(f.options.abort)
		}
	}()
}

const (
	// failing is how long a front whose program has ended may take to tell its clients.
	failing = time.Second
	// lingering is how long one that others take the place of keeps idle connections, for
	// the requests that were on their way.
	lingering = 250 * time.Millisecond
)

// serve serves until the drain is over, or the program has ended.
func (f *front) serve() int {
	srv := &http.Server{Handler: f.handler(), Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	over := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		select {
		case <-f.program.ended:
			f.leave(srv, over)
		case <-over:
		}
	}()
	err := worker.Serve(srv, "")
	if err == nil {
		close(over)
		return f.stop()
	}
	if !f.program.dead() {
		complain("%v", err)
		return 1
	}
	<-told
	return f.ended()
}

// leave tells the clients of a program that has ended, those that others can still answer
// not before they have. What is left when it returns is cut by the end of this process.
func (f *front) leave(srv *http.Server, over <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), failing)
	defer cancel()
	if o := f.upstream.others; o != nil && o.take() {
		ctx = context.Background() // the master ends it
		select {
		case <-time.After(lingering):
		case <-over:
		}
	}
	_ = srv.Shutdown(ctx)
}

// ended is for a program that ended by itself.
func (f *front) ended() int {
	complain("the program ended: %s", f.program.end())
	f.place.close()
	return f.program.follow()
}

// stop ends the program, however long that takes: the master does not wait for ever.
func (f *front) stop() int {
	if f.program.dead() {
		return f.ended()
	}
	f.upstream.closeIdle()
	f.program.signal(f.options.stop)
	<-f.program.ended
	return 0
}

// complain says something on stderr, in one line and in one piece.
func complain(format string, args ...any) {
	os.Stderr.WriteString("gosuper: proxy: " + fmt.Sprintf(format, args...) + "\n")
}

const (
	// complaintPause is the time between two complaints of the same kind: a program that
	// fails all requests would have all of them in the log.
	complaintPause = time.Second
	// complaintSize is the length of one in bytes.
	complaintSize = 512
)

// complaints are of one kind.
type complaints struct {
	mu   sync.Mutex // guards what follows
	next time.Time  // may be said
	kept int        // were not
}

// say complains, unless that was done just now.
func (c *complaints) say(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.next) {
		c.kept++
		return
	}
	text = text[:min(len(text), complaintSize)]
	if c.kept > 0 {
		text += fmt.Sprintf(" (and %d others before it)", c.kept)
	}
	c.next, c.kept = now.Add(complaintPause), 0
	complain("%s", text)
}
