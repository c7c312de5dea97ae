package control

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
)

// A request that comes with the end of its server is answered.
func TestActive(t *testing.T) {
	for range 50 {
		var active Active
		entered, leave := make(chan struct{}), make(chan struct{})
		server := http.Server{ConnState: active.Track, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-leave
			io.WriteString(w, "whole")
		})}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go server.Serve(l)
		active.Wait(t.Context()) // nobody is there
		answer := make(chan string)
		go func() {
			a, err := http.Get("http://" + l.Addr().String())
			if err != nil {
				answer <- err.Error()
				return
			}
			defer a.Body.Close()
			text, _ := io.ReadAll(a.Body)
			answer <- string(text)
		}()
		<-entered
		l.Close()
		impatient, cancel := context.WithCancel(t.Context())
		cancel()
		active.Wait(impatient)
		close(leave)
		active.Wait(t.Context())
		server.Close()
		if got := <-answer; got != "whole" {
			t.Fatalf("answer %q", got)
		}
	}
}
