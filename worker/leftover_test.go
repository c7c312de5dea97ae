//go:build linux

package worker

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// secret is in each piece of what a leftover writes.
const secret = "leftover"

// A leftover is what a handler leaves behind: a goroutine that goes on using what the
// handler was given.
type leftover struct {
	w      http.ResponseWriter
	r      *http.Request
	file   *os.File
	rounds chan struct{}
	stop   chan struct{}
	ended  sync.WaitGroup
}

// leave starts a leftover that writes, and uses the rest too if the handler has
// returned: before, that would be the response's own business.
func leave(t *testing.T, w http.ResponseWriter, r *http.Request, returned bool) *leftover {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Error(err)
	}
	t.Cleanup(func() { file.Close() })
	io.WriteString(file, secret)
	l := &leftover{w: w, r: r, file: file, rounds: make(chan struct{}), stop: make(chan struct{})}
	l.ended.Go(func() {
		for {
			l.write()
			if returned {
				l.useTheRest()
			}
			select {
			case <-l.stop:
				return
			case l.rounds <- struct{}{}:
			case <-time.After(time.Millisecond): // the others need the processor too
			}
		}
	})
	t.Cleanup(func() {
		close(l.stop)
		l.ended.Wait()
	})
	return l
}

func (l *leftover) write() {
	l.w.WriteHeader(http.StatusTeapot)
	io.WriteString(l.w, secret)
	l.w.Write([]byte(strings.Repeat(secret, 1000)))
	http.NewResponseController(l.w).Flush()
	l.file.Seek(0, io.SeekStart)
	io.Copy(l.w, l.file)
	io.Copy(l.w, strings.NewReader(secret))
	l.r.Body.Read(make([]byte, 10))
}

func (l *leftover) useTheRest() {
	l.w.Header().Set("X-Leftover", secret)
	rc := http.NewResponseController(l.w)
	rc.SetReadDeadline(time.Unix(1, 0))
	rc.SetWriteDeadline(time.Unix(1, 0))
	rc.EnableFullDuplex()
	if conn, _, err := rc.Hijack(); err == nil {
		io.WriteString(conn, secret)
		conn.Close()
	}
	if pusher, ok := l.w.(http.Pusher); ok {
		pusher.Push("/"+secret, nil)
	}
	<-l.w.(interface{ CloseNotify() <-chan bool }).CloseNotify()
}

// awaitRound waits until the leftover has done everything at least once from here on.
func (l *leftover) awaitRound(t *testing.T) {
	t.Helper()
	await(t, l.rounds)
	await(t, l.rounds)
}

// TestLeftover has a handler leave a goroutine behind. Whatever that does, it reaches no
// answer to another request, and ends none.
func TestLeftover(t *testing.T) {
	tests := []struct {
		name string
		// handle is the handler that leaves something behind, which it passes to left.
		handle  func(t *testing.T, w http.ResponseWriter, r *http.Request, left chan<- *leftover)
		allowed time.Duration
		status  int
	}{
		{"while the handler returns", func(t *testing.T, w http.ResponseWriter, r *http.Request, left chan<- *leftover) {
			l := leave(t, w, r, false)
			l.awaitRound(t)
			left <- l
		}, time.Hour, http.StatusTeapot},
		{"after the handler's return", func(t *testing.T, w http.ResponseWriter, r *http.Request, left chan<- *leftover) {
			go func() {
				<-r.Context().Done()
				left <- leave(t, w, r, true)
			}()
		}, time.Hour, http.StatusOK},
		{"after a 504", func(t *testing.T, w http.ResponseWriter, r *http.Request, left chan<- *leftover) {
			<-r.Context().Done()
			left <- leave(t, w, r, false)
		}, allowed, http.StatusGatewayTimeout},
		{"behind a 504", func(t *testing.T, w http.ResponseWriter, r *http.Request, left chan<- *leftover) {
			<-r.Context().Done()
			l := leave(t, w, r, false)
			left <- l
			<-l.stop
		}, allowed, http.StatusGatewayTimeout},
	}
	for _, tt := range tests {
		for _, major := range []int{1, 2} {
			for _, secure := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/HTTP%d/tls=%v", tt.name, major, secure), func(t *testing.T) {
					t.Parallel()
					left := make(chan *leftover, 1)
					f, client := startVersion(t, major, secure, func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/leave" {
							tt.handle(t, w, r, left)
							return
						}
						body, _ := io.ReadAll(r.Body)
						for range 20 {
							io.WriteString(w, "answer ")
							http.NewResponseController(w).Flush()
						}
						w.Write(body)
					}, timeouts{Timeout: tt.allowed, Stream: time.Hour})
					ask := func(path, body string) (status int, text string) {
						res, err := client.Post(f.url(path), "text/plain", strings.NewReader(body))
						if err != nil {
							t.Fatalf("%s: %v", path, err)
						}
						defer res.Body.Close()
						got, err := io.ReadAll(res.Body)
						if err != nil || res.ProtoMajor != major || res.Header.Get("X-Leftover") != "" {
							t.Errorf("%s: %+v, %v", path, res, err)
						}
						return res.StatusCode, string(got)
					}
					if status, _ := ask("/leave", "body"); status != tt.status {
						t.Errorf("the handler that leaves something behind is answered %d, want %d", status, tt.status)
					}
					l := await(t, left)
					accepted := f.view.Counters().Accepted
					want := strings.Repeat("answer ", 20) + "the end"
					for range 10 {
						if status, got := ask("/", "the end"); status != 200 || got != want {
							t.Fatalf("another answer is %d %.200q", status, got)
						}
						l.awaitRound(t)
					}
					if accepted == 1 && tt.status != http.StatusGatewayTimeout && f.view.Counters().Accepted != 1 {
						t.Errorf("%d connections, want one", f.view.Counters().Accepted)
					}
				})
			}
		}
	}
}

// TestAbortEndsWrites has a handler panic while a goroutine of its is blocked in a write
// to a client that reads nothing.
func TestAbortEndsWrites(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			t.Parallel()
			wrote := make(chan error, 1)
			f := startMaybeTLS(t, secure, func(w http.ResponseWriter, r *http.Request) {
				http.NewResponseController(w).Flush()
				started := make(chan struct{})
				go func() {
					close(started)
					for {
						if _, err := w.Write(make([]byte, 1<<20)); err != nil {
							wrote <- err
							return
						}
					}
				}()
				<-started
				panic(http.ErrAbortHandler)
			}, timeouts{})
			if err := f.dial(t).send("/"); err != nil {
				t.Fatal(err)
			}
			await(t, wrote)
			until(t, "the request is over", func() bool { return f.board.InFlight() == 0 && f.server.Open() == 0 })
		})
	}
}

// TestWriteIsEndedByItsDeadline has one goroutine of a handler end what another is
// blocked in.
func TestWriteIsEndedByItsDeadline(t *testing.T) {
	for _, major := range []int{1, 2} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("HTTP%d/tls=%v", major, secure), func(t *testing.T) {
				t.Parallel()
				wrote, ended := make(chan error, 1), make(chan struct{})
				f, client := startVersion(t, major, secure, func(w http.ResponseWriter, r *http.Request) {
					pieces := make(chan struct{}, 1)
					go func() {
						for {
							select {
							case pieces <- struct{}{}:
							default:
							}
							if _, err := w.Write(make([]byte, 1<<20)); err != nil {
								wrote <- err
								return
							}
						}
					}()
					for blocked := false; !blocked; {
						select {
						case <-pieces:
						case <-time.After(100 * time.Millisecond):
							blocked = true
						}
					}
					http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
					<-wrote
					close(ended)
				}, timeouts{})
				res, err := client.Get(f.url("/"))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				await(t, ended)
			})
		}
	}
}

// startVersion serves one version of HTTP, and returns a client that uses one connection
// as long as it lives.
func startVersion(t *testing.T, major int, secure bool, h http.HandlerFunc, limits timeouts) (*fixture, *http.Client) {
	t.Helper()
	if major == 2 {
		return start2(t, secure, h, limits)
	}
	transport := &http.Transport{TLSClientConfig: trusting(), MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	return startMaybeTLS(t, secure, h, limits), &http.Client{Transport: transport, Timeout: forever}
}
