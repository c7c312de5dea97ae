//go:build linux

package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gosuper/gosuper/worker"
	"github.com/gosuper/gosuper/worker/protocol"
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
	f := &front{options: o}
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
	forgetStart()
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

// failing is how long a front whose program has ended may take to tell its clients.
const failing = time.Second

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
			ctx, cancel := context.WithTimeout(context.Background(), failing)
			defer cancel()
			_ = srv.Shutdown(ctx) // what is left then is cut by the end of this process
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

// flushInterval is how long a part of a body of known length may be held back. All others
// are streams, and flushed at once.
const flushInterval = time.Millisecond

// handler forwards requests.
func (f *front) handler() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite:       f.rewrite,
		Transport:     f.upstream,
		FlushInterval: flushInterval,
		BufferPool:    new(buffers),
		ErrorHandler:  f.failed,
		// What goes wrong in the middle of an answer the access log tells.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return forwarder{f, proxy}
}

// A forwarder is the handler of a front.
type forwarder struct {
	front *front
	proxy *httputil.ReverseProxy
}

func (f forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// The program may answer before it has all of the body.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	defer f.front.showLife(r.Context())
	f.proxy.ServeHTTP(w, r)
}

// statusClientGone is nginx's for a client that did not wait for the answer.
const statusClientGone = 499

// failed answers a request that the program did not.
func (f *front) failed(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusBadGateway, "The program behind this worker did not answer.\n"
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	switch _, broken := errors.AsType[bodyError](err); {
	case broken:
		w.Header().Set("Connection", "close")
		status, text = http.StatusBadRequest, "The body of the request could not be read.\n"
	case r.Context().Err() != nil:
		// Or it was answered at its deadline, and this goes nowhere.
		status, text = statusClientGone, ""
	case f.program.dead():
		w.Header().Set("Connection", "close")
		text = "The program behind this worker has ended.\n"
	case ok && timeout.Timeout():
		status, text = http.StatusGatewayTimeout, "The program behind this worker took too long to accept a connection.\n"
	default:
		f.failures.say(fmt.Sprintf("%s %s: %v", r.Method, r.URL.EscapedPath(), err))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// showLife returns at once, unless the request was ended at its deadline: then the program
// may be stuck, and this returns when it is not.
func (f *front) showLife(ctx context.Context) {
	if errors.Is(context.Cause(ctx), http.ErrHandlerTimeout) {
		f.pulse.feel(f.program.ended)
	}
}

// buffers are those that bodies are copied through. A stream holds one from its first byte
// to its last.
type buffers struct{ pool sync.Pool }

const bufferSize = 8 << 10

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }
