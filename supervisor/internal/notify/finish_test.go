//go:build linux

package notify

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What a worker said before it ended is known when Finish returns, wherever it is by then.
func TestFinish(t *testing.T) {
	for way := range senders(open(t)) {
		e := open(t)
		send := func(text string) {
			t.Helper()
			if err := senders(e)[way](text); err != nil {
				t.Fatal(err)
			}
		}
		finish := func(name string, want Message) {
			t.Helper()
			if got := e.Finish(os.Getpid()); got != want {
				t.Errorf("%s, %s: got %+v, want %+v", way, name, got, want)
			}
			select {
			case <-e.Done():
			default:
				t.Errorf("%s, %s: it is not done", way, name)
			}
			if got := e.Finish(os.Getpid()); got != (Message{}) {
				t.Errorf("%s, %s: then %+v", way, name, got)
			}
			<-e.Close()
		}

		send("STATUS=up")
		send("READY=1")
		finish("never served", Message{Ready: true, HasStatus: true, Status: "up"})

		e = open(t)
		arrived := make(chan Message, 1)
		e.Serve(os.Getpid(), func(m Message) bool {
			arrived <- m
			<-e.Done()
			return false
		})
		send("READY=1")
		<-arrived
		send("STOPPING=1")
		finish("not taken", Message{Ready: true, Stopping: true})

		e = open(t)
		l := serve(e, os.Getpid())
		send("STATUS=taken")
		l.want(t, status("taken"))
		const reports = 12 // which are put off
		for i := range reports {
			send(fmt.Sprintf("STATUS=%d", i))
		}
		send("STATUS=last")
		finish("put off", status("last"))

		e = open(t)
		l = serve(e, os.Getpid())
		send("READY=1")
		l.want(t, Message{Ready: true})
		send("READY=1")
		finish("taken", Message{})

		e = open(t)
		<-e.Close()
		if got := e.Finish(os.Getpid()); got != (Message{}) {
			t.Errorf("%s, closed: got %+v", way, got)
		}
	}
}

// Who is not the worker is not believed at its end either.
func TestFinishBelievesNoStranger(t *testing.T) {
	e := open(t)
	if err := sendTo(e.Address(), "READY=1"); err != nil {
		t.Fatal(err)
	}
	const nobody = 1 << 30 // more than any process has
	if got := e.Finish(nobody); got != (Message{}) {
		t.Errorf("got %+v", got)
	}
}

// A worker that ends before it has read what it was told has said what it has all the same.
func TestFinishBehindAnError(t *testing.T) {
	e := open(t)
	if err := e.Look(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(e.ChildFd(), []byte("STOPPING=1")); err != nil {
		t.Fatal(err)
	}
	if err := e.CloseChild(); err != nil {
		t.Fatal(err)
	}
	if got := e.Finish(os.Getpid()); got != (Message{Stopping: true}) {
		t.Errorf("got %+v", got)
	}
}
