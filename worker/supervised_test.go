//go:build linux

package worker

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gosuper/gosuper/worker/protocol"
	"github.com/gosuper/gosuper/worker/scoreboard"
)

// helpers are the programs of the tests below.
var helpers = map[string]func() error{
	"serve":     helperServe,
	"alone":     helperAlone,
	"lines":     helperLines,
	"taker":     helperTaker,
	"limited":   helperLimited,
	"loading":   helperLoading,
	"environ":   helperEnviron,
	"activated": helperActivated,
	"sleep":     helperSleep,
	"few":       helperFew,
}

// helperServe is a web server.
func helperServe() error {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun ")
		w.(http.Flusher).Flush()
		<-Draining()
		io.WriteString(w, "ended")
	})
	mux.HandleFunc("/environ", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, strings.Join(os.Environ(), "\n"))
	})
	mux.HandleFunc("/fail", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, Fail()) })
	mux.HandleFunc("/child", func(w http.ResponseWriter, r *http.Request) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), helperEnv+"=environ")
		out, err := cmd.CombinedOutput()
		fmt.Fprintf(w, "%s\n%v\n", out, err)
	})
	return ListenAndServe("203.0.113.1:1", mux) // an address that nobody can bind
}

// helperEnviron is a child of a worker. It writes what it can see of its parent's:
// the environment, and every socket and memory among its descriptors.
func helperEnviron() error {
	fmt.Println(strings.Join(os.Environ(), "\n"))
	fds, err := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		target, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		if strings.HasPrefix(target, "socket:") || strings.HasPrefix(target, "/memfd:") {
			fmt.Println("INHERITED", fd.Name(), target)
		}
	}
	if p := self(); p.broken != nil || p.supervised {
		fmt.Println("TAKES ITSELF FOR A WORKER", p.broken)
	}
	return err
}

func TestSupervised(t *testing.T) {
	use("environ") // by the worker
	held := hold(t)
	c := spawn(t, "serve", []*net.TCPListener{held})
	c.expect(t, "READY=1")
	if h, ok := c.view.Header(); !ok || h.PID != uint32(c.cmd.Process.Pid) || h.State != scoreboard.Ready {
		t.Errorf("Header() = %+v, %v", h, ok)
	}
	conn := dial(t, held.Addr().String())
	res := conn.mustGet(t, "/")
	if body, _ := io.ReadAll(res.Body); string(body) != strconv.Itoa(c.cmd.Process.Pid) {
		t.Errorf("answer %q is not from the worker", body)
	}

	environ, _ := io.ReadAll(conn.mustGet(t, "/environ").Body)
	for _, name := range slices.Concat(sockets, limits, []string{protocol.EnvNotifySocket}) {
		if strings.Contains(string(environ), name+"=") {
			t.Errorf("%s is still set", name)
		}
	}
	for _, name := range []string{protocol.EnvWorkerID, protocol.EnvSlot} {
		if !strings.Contains(string(environ), name+"=") {
			t.Errorf("%s is not for the application any more", name)
		}
	}
	below, _ := io.ReadAll(conn.mustGet(t, "/child").Body)
	if strings.Contains(string(below), "INHERITED") || strings.Contains(string(below), "TAKES") || !strings.HasSuffix(string(below), "<nil>\n") {
		t.Errorf("a child of the worker says:\n%s", below)
	}

	stream := dial(t, held.Addr().String())
	if err := stream.send("/stream"); err != nil {
		t.Fatal(err)
	}
	stream.r.Peek(1)
	c.view.SetDrainUntil(in(forever))
	c.signal(t, syscall.SIGUSR2)
	c.expect(t, "STOPPING=1")
	if h, _ := c.view.Header(); h.State != scoreboard.Draining {
		t.Errorf("state %v, want draining", h.State)
	}
	// A second one changes nothing, nor does the one that is always understood.
	c.signal(t, syscall.SIGUSR2)
	c.signal(t, syscall.SIGTERM)
	res, err := stream.receive()
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(res.Body); string(body) != "begun ended" {
		t.Errorf("stream %q", body)
	}
	answers := uint64(4)
	for closed := false; !closed; answers++ { // until it is the turn of this connection
		res := conn.mustGet(t, "/")
		closed = res.Close
		io.Copy(io.Discard, res.Body)
	}
	stream.Close()
	c.awaitExit(t)
	if counters := c.view.Counters(); counters.Open != 0 || counters.Finished != counters.Started || counters.Status[1] != answers {
		t.Errorf("%+v", counters)
	}
}

// TestTermIsAlwaysUnderstood also keeps Serve from running into a signal that a
// worker has no use for.
func TestTermIsAlwaysUnderstood(t *testing.T) {
	c := spawn(t, "serve", []*net.TCPListener{hold(t)})
	c.expect(t, "READY=1")
	c.signal(t, syscall.SIGTERM)
	c.expect(t, "STOPPING=1")
	c.awaitExit(t)
}

func TestRecycle(t *testing.T) {
	held := hold(t)
	c := spawn(t, "serve", []*net.TCPListener{held}, protocol.EnvLimitRequests+"=5")
	c.expect(t, "READY=1")
	conn := dial(t, held.Addr().String())
	for range 4 {
		conn.mustGet(t, "/")
	}
	select {
	case message := <-c.messages:
		t.Fatalf("message %q after 4 requests", message)
	default:
	}
	for range 20 {
		conn.mustGet(t, "/")
	}
	c.expect(t, "X_GOSUPER_RECYCLE=max_requests")
	conn.Close()
	c.signal(t, syscall.SIGTERM)
	c.expect(t, "STOPPING=1") // and no second request to be recycled before it
	c.awaitExit(t)
}

// TestMasterGone closes the master's end, as its death does.
func TestMasterGone(t *testing.T) {
	t.Parallel()
	held := hold(t)
	c := spawn(t, "serve", []*net.TCPListener{held})
	c.expect(t, "READY=1")
	conn := dial(t, held.Addr().String())
	conn.mustGet(t, "/") // stays open, and is idle
	begin := time.Now()
	c.notify.Close()
	c.awaitExit(t)
	if d := time.Since(begin); d > protocol.OrphanGrace+late {
		t.Errorf("lives on for %v without a master", d)
	}
}

// helperLoading takes its time before it serves, until its input ends.
func helperLoading() error {
	file := os.Getenv("LOADING_UNTIL")
	for {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		time.Sleep(time.Millisecond) // between two looks
	}
}

// TestCooperatingBeforeMain has a program that does nothing but load.
func TestCooperatingBeforeMain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "loaded")
	c := spawn(t, "loading", []*net.TCPListener{hold(t)}, "LOADING_UNTIL="+file)
	until(t, "the header is written", func() bool {
		h, ok := c.view.Header()
		return ok && h.State == scoreboard.Starting
	})
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c.awaitExit(t)
}

// TestStray starts a worker below a program that gosuper started, which is the
// test's own process here.
func TestStray(t *testing.T) {
	c := spawn(t, "serve", []*net.TCPListener{hold(t)}, protocol.EnvListenPID+"="+strconv.Itoa(os.Getpid()))
	await(t, c.exited)
	said := c.output.String()
	if c.err == nil {
		t.Fatal("serves")
	}
	for _, want := range []string{"worker 7", strconv.Itoa(os.Getpid()), filepath.Base(os.Args[0]), "exec"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q does not mention %q", said, want)
		}
	}
	if _, ok := c.view.Header(); ok {
		t.Error("writes a header for somebody else")
	}
}

func TestBrokenEnvironment(t *testing.T) {
	for _, env := range []string{
		protocol.EnvListenFDs + "=one",
		protocol.EnvListenFDs + "=0",
		protocol.EnvListenFDs + "=2",  // the second one is for messages
		protocol.EnvListenFDs + "=99", // not so many
		protocol.EnvNotifyFD + "=-1",
		protocol.EnvScoreboardFD + "=0x5",
		protocol.EnvScoreboardFD + "=4",
		protocol.EnvStopSignal + "=SIGNAL",
		protocol.EnvLimitKeepAlive + "=5s",
		protocol.EnvLimitRequests + "=-5",
		protocol.EnvLimitConnections + "=some",
		protocol.EnvLimitBacklogTimeout + "=1s",
		protocol.EnvFleetFD + "=4",  // a socket
		protocol.EnvAccessFD + "=4", // which blocks
	} {
		t.Run(env, func(t *testing.T) {
			c := spawn(t, "serve", []*net.TCPListener{hold(t)}, env)
			await(t, c.exited)
			if said := c.output.String(); c.err == nil || !strings.HasPrefix(said, "cannot ") {
				t.Errorf("%v, having said %q", c.err, said)
			}
		})
	}
}

// helperLines is a server that is not HTTP: it sends lines back.
func helperLines() error {
	listeners, err := Listeners()
	if err != nil {
		return err
	}
	if _, err := Listeners(); err == nil {
		return fmt.Errorf("the sockets can be had twice")
	}
	if err := Ready(); err != nil {
		return err
	}
	for _, l := range listeners {
		for {
			conn, err := l.Accept()
			if err != nil {
				break // draining
			}
			io.Copy(conn, conn)
			conn.Close()
		}
	}
	<-Draining()
	return nil
}

func TestListeners(t *testing.T) {
	held := []*net.TCPListener{hold(t), hold(t)}
	c := spawn(t, "lines", held)
	c.expect(t, "READY=1")
	conn := dial(t, held[0].Addr().String())
	io.WriteString(conn, "hello\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "hello\n" {
		t.Errorf("got %q, %v", line, err)
	}
	if counters := c.view.Counters(); counters.Accepted != 1 || counters.Open != 1 {
		t.Errorf("%+v, want one connection", counters)
	}
	conn.Close()
	c.signal(t, syscall.SIGUSR2)
	c.expect(t, "STOPPING=1")
	c.awaitExit(t)
}

// helperAlone serves the address it is given, as a program without gosuper does.
// helperActivated is under systemd, without gosuper.
// TestReporter has masters that do not listen.

// helperTaker takes its socket and its variables by itself, as libraries for systemd's
// socket activation do, before it calls this package.
func helperTaker() error {
	socket := os.NewFile(protocol.ListenFDsStart, "socket")
	l, err := net.FileListener(socket)
	if err != nil {
		return err
	}
	defer l.Close()
	socket.Close()
	for _, name := range sockets {
		os.Unsetenv(name)
	}
	draining := Draining()
	if err := Ready(); err != nil {
		return err
	}
	if _, err := Listeners(); err == nil || !strings.Contains(err.Error(), "descriptor 3") {
		return fmt.Errorf("of sockets that are gone it says %w", err)
	}
	<-draining
	return nil
}

func TestSocketsTakenBefore(t *testing.T) {
	c := spawn(t, "taker", []*net.TCPListener{hold(t)})
	c.expect(t, "READY=1")
	c.signal(t, syscall.SIGUSR2)
	c.expect(t, "STOPPING=1")
	c.awaitExit(t)
}
