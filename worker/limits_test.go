//go:build linux

package worker

import (
	"bufio"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

var (
	samples = flag.Int("samples", 40, "requests of TestOneSecond that time out")
	spins   = flag.Int("spins", 2, "requests of TestSpinning")
)

// helperLimited is a server with handlers that ignore their contexts.
func helperLimited() error {
	mux := http.NewServeMux()
	mux.HandleFunc("/sleep", func(w http.ResponseWriter, r *http.Request) { rest(20 * time.Second) })
	mux.HandleFunc("/quick", ok)
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		for i := range 20 {
			fmt.Fprintf(w, "token %d\n", i)
			w.(http.Flusher).Flush()
			rest(300 * time.Millisecond)
		}
		io.WriteString(w, "done\n")
	})
	mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "token\n")
		w.(http.Flusher).Flush()
		rest(20 * time.Second)
	})
	mux.HandleFunc("/drip", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := io.WriteString(w, "token\n"); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			rest(150 * time.Millisecond)
		}
	})
	mux.HandleFunc("/spin", func(w http.ResponseWriter, r *http.Request) {
		for begin := time.Now(); time.Since(begin) < 1200*time.Millisecond; {
		}
	})
	mux.HandleFunc("/steps", func(w http.ResponseWriter, r *http.Request) {
		for range 4 { // a step that is longer, because the process was stopped, is one step
			rest(100 * time.Millisecond)
		}
	})
	return ListenAndServe("", mux)
}

// TestOneSecond is a worker with a timeout of one second, whose handlers sleep for
// twenty, while streams and quick requests go on beside them.
func TestOneSecond(t *testing.T) {
	held := hold(t)
	addr := held.Addr().String()
	c := spawn(t, "limited", []*net.TCPListener{held},
		protocol.EnvLimitTimeout+"=1000", protocol.EnvLimitStreamTimeout+"=1000")
	c.expect(t, "READY=1")

	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			res := dial(t, addr).mustGet(t, "/stream")
			if body, _ := io.ReadAll(res.Body); strings.Count(string(body), "\n") != 21 {
				t.Errorf("a stream is %q", body)
			}
		})
	}
	wg.Go(func() {
		silent := dial(t, addr)
		begin := time.Now()
		silent.send("/silent")
		res, err := http.ReadResponse(silent.r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		if body, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("the silent stream seems complete: %q", body)
		}
		if d := time.Since(begin); d < time.Second || d > 10*time.Second {
			t.Errorf("the silent stream is ended after %v", d)
		}
	})
	var mu sync.Mutex // guards answers and slowest
	var answers []time.Duration
	var slowest time.Duration
	stop := make(chan struct{})
	var quick sync.WaitGroup
	quick.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			begin := time.Now()
			dial(t, addr).mustGet(t, "/quick")
			slowest = max(slowest, time.Since(begin))
		}
	})
	for i := range *samples {
		rest(7 * time.Millisecond)
		wg.Go(func() {
			conn := dial(t, addr)
			begin := time.Now()
			res, err := conn.get(fmt.Sprint("/sleep?", i))
			d := time.Since(begin)
			if err != nil || res.StatusCode != http.StatusGatewayTimeout {
				t.Errorf("%+v, %v", res, err)
			}
			mu.Lock()
			answers = append(answers, d)
			mu.Unlock()
		})
	}
	wg.Wait()
	close(stop)
	quick.Wait()
	slices.Sort(answers)
	p99 := answers[len(answers)*99/100]
	t.Logf("504 after %v to %v, p50 %v, p99 %v; the slowest quick request took %v",
		answers[0], answers[len(answers)-1], answers[len(answers)/2], p99, slowest)
	// A machine busy with other tests makes some late, but not all.
	if answers[0] < time.Second || answers[0] > 1500*time.Millisecond || p99 > 10*time.Second {
		t.Errorf("504 after %v to %v (p99), want 1 s", answers[0], p99)
	}
	ended := 0
	for _, r := range c.view.Requests() {
		if r.Flags&scoreboard.Ended != 0 {
			ended++
		}
	}
	if ended != *samples+1 {
		t.Errorf("%d stuck requests on the board, want %d", ended, *samples+1)
	}
}

// TestSpinning has handlers that leave their processor to nobody.
func TestSpinning(t *testing.T) {
	held := hold(t)
	c := spawn(t, "limited", []*net.TCPListener{held}, protocol.EnvLimitTimeout+"=1000")
	c.expect(t, "READY=1")
	var worst time.Duration
	for range *spins {
		begin := time.Now()
		res, err := dial(t, held.Addr().String()).get("/spin")
		d := time.Since(begin)
		if err != nil || res.StatusCode != http.StatusGatewayTimeout || d < time.Second || d > 10*time.Second {
			t.Errorf("%+v, %v after %v", res, err, d)
		}
		worst = max(worst, d)
		until(t, "the spinning ends", func() bool { return len(c.view.Requests()) == 0 })
	}
	t.Logf("504 after at most %v", worst)
}

// TestStopped stops the worker itself for longer than its requests may take. That
// is not the requests' fault.
func TestStopped(t *testing.T) {
	t.Parallel()
	held := hold(t)
	c := spawn(t, "limited", []*net.TCPListener{held}, protocol.EnvLimitTimeout+"=1000")
	c.expect(t, "READY=1")
	conn := dial(t, held.Addr().String())
	conn.send("/steps")
	until(t, "the request is there", func() bool { return len(c.view.Requests()) == 1 })
	c.signal(t, syscall.SIGSTOP)
	time.Sleep(time.Second + protocol.OverdueGrace + 100*time.Millisecond) // which is what is tested
	c.signal(t, syscall.SIGCONT)
	if res, err := conn.receive(); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestStarved stops the worker for most of the time that a stream may be silent, in the
// middle of a pause of it: when the worker goes on, both are over. The stream survives
// that, and one that says nothing is ended all the same.
func TestStarved(t *testing.T) {
	t.Parallel()
	held := hold(t)
	c := spawn(t, "limited", []*net.TCPListener{held}, protocol.EnvLimitStreamTimeout+"=1000")
	c.expect(t, "READY=1")
	drip, silent := dial(t, held.Addr().String()), dial(t, held.Addr().String())
	silent.send("/silent")
	drip.send("/drip")
	res, err := http.ReadResponse(drip.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens := bufio.NewScanner(res.Body)
	for range 5 {
		if !tokens.Scan() {
			t.Fatalf("the stream was cut: %v", tokens.Err())
		}
		rest(100 * time.Millisecond) // which is what is tested, as is the next
		c.signal(t, syscall.SIGSTOP)
		rest(930 * time.Millisecond)
		c.signal(t, syscall.SIGCONT)
		// What the worker wrote until it was stopped has been here all the time.
		for range 2 {
			tokens.Scan()
		}
	}
	if _, err := io.Copy(io.Discard, silent); err != nil {
		t.Errorf("the silent stream: %v, want its end", err)
	}
	if !tokens.Scan() {
		t.Errorf("the stream was cut: %v", tokens.Err())
	}
}

// TestInheritedCertificate speaks HTTP/1.1 and HTTP/2 with a worker that got its
// certificate from the master.
func TestInheritedCertificate(t *testing.T) {
	held := hold(t)
	c := spawn(t, "limited", []*net.TCPListener{held}, protocol.EnvTLSFD+"=6", protocol.EnvLimitTimeout+"=100")
	c.expect(t, "READY=1")
	for _, h2 := range []bool{false, true} {
		var protocols http.Protocols
		protocols.SetHTTP1(!h2)
		protocols.SetHTTP2(h2)
		transport := &http.Transport{Protocols: &protocols, TLSClientConfig: trusting()}
		defer transport.CloseIdleConnections()
		for path, status := range map[string]int{"/quick": 200, "/sleep": 504} {
			res, err := (&http.Client{Transport: transport, Timeout: forever}).Get("https://" + held.Addr().String() + path)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if (res.ProtoMajor == 2) != h2 || res.StatusCode != status {
				t.Errorf("%s %s %s, want HTTP/2: %v, %d", path, res.Proto, res.Status, h2, status)
			}
		}
	}
}

// TestCallersCertificate prefers what the caller brings.
func TestCallersCertificate(t *testing.T) {
	inherited, err := readPair(pairFile(t))
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(inheritance{certificate: inherited}, nil)
	own := &tls.Certificate{}
	for _, tt := range []struct {
		name   string
		config *tls.Config
		want   bool // the inherited one is used
	}{
		{"no configuration", nil, true},
		{"configuration without a certificate", &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"certificate", &tls.Config{Certificates: []tls.Certificate{*own}}, false},
		{"by name", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own, nil }}, false},
	} {
		srv := &http.Server{TLSConfig: tt.config}
		p.secure(srv)
		used := len(srv.TLSConfig.Certificates) == 1 && srv.TLSConfig.Certificates[0].PrivateKey != nil
		if used != tt.want || tt.config != nil && srv.TLSConfig.MinVersion != tt.config.MinVersion {
			t.Errorf("%s: %+v", tt.name, srv.TLSConfig)
		}
	}
}

// TestHardening checks what net/http leaves open.
func TestHardening(t *testing.T) {
	t.Run("defaults", func(t *testing.T) {
		for _, tt := range []struct{ srv, want *http.Server }{
			{&http.Server{}, &http.Server{ReadHeaderTimeout: readHeaderTimeout, MaxHeaderBytes: maxHeaderBytes}},
			{&http.Server{ReadTimeout: 1, MaxHeaderBytes: 2}, &http.Server{ReadTimeout: 1, MaxHeaderBytes: 2}},
			{&http.Server{ReadHeaderTimeout: -1}, &http.Server{ReadHeaderTimeout: -1, MaxHeaderBytes: maxHeaderBytes}},
		} {
			harden(tt.srv)
			if tt.srv.ReadHeaderTimeout != tt.want.ReadHeaderTimeout || tt.srv.MaxHeaderBytes != tt.want.MaxHeaderBytes {
				t.Errorf("ReadHeaderTimeout %v, MaxHeaderBytes %d", tt.srv.ReadHeaderTimeout, tt.srv.MaxHeaderBytes)
			}
		}
	})
	t.Run("slow loris", func(t *testing.T) {
		srv := quiet(ok)
		srv.ReadHeaderTimeout = allowed
		f := startAs(t, srv, inheritance{keepAlive: forever}, hold(t))
		for _, used := range []bool{false, true} {
			c := dial(t, f.addr)
			if used {
				c.mustGet(t, "/")
			}
			io.WriteString(c, "GET / HTTP/1.1\r\n")
			begin := time.Now()
			stop := make(chan struct{})
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(allowed / 10):
						io.WriteString(c, "X: y\r\n")
					}
				}
			}()
			_, err := io.Copy(io.Discard, c.r)
			close(stop)
			var netErr net.Error
			if errors.As(err, &netErr) && netErr.Timeout() {
				t.Fatal("a client that never ends its header stays")
			}
			if d := time.Since(begin); d < allowed-50*time.Millisecond || d > allowed+5*time.Second {
				t.Errorf("closed after %v, want %v", d, allowed)
			}
		}
	})
	t.Run("large header", func(t *testing.T) {
		f := startAs(t, quiet(ok), inheritance{keepAlive: forever}, hold(t))
		c := dial(t, f.addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\nX: "+strings.Repeat("x", maxHeaderBytes+8192)+"\r\n\r\n")
		res, err := c.receive()
		if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%+v, %v", res, err)
		}
	})
}
