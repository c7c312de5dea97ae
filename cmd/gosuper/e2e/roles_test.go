//go:build linux

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker"
)

// roles are the workers this test binary can be, and who is not one. The workers
// are cooperating ones: package worker writes the header before main.
var roles = map[string]func(args []string) error{
	"serve":  serve,
	"crash":  crash,
	"hang":   hang,
	"deaf":   deaf,
	"shrink": shrink,
	"loud":   loud,

	"spoiler": spoiler,

	"impostor": impostor,

	"shout":     shout,
	"hoard":     hoard,
	"enter":     enter,
	"villain":   villain,
	"typist":    typist,
	"vandal":    vandal,
	"mutter":    mutter,
	"risen":     risen,
	"keyholder": keyholder,
	"lines":     lines,
	"unruly":    unruly,
	"tenant":    tenant,
}

var usedRoles sync.Map // names of roles that a test asked for

// as returns the command that runs this binary in a role.
func as(role string, args ...string) []string {
	if roles[role] == nil {
		panic("no such role: " + role)
	}
	usedRoles.Store(role, true)
	return append([]string{self, "as", role}, args...)
}

// complete says whether this was a run of all tests.
func complete() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return true
}

func play(role string, args []string) int {
	log.SetFlags(0)
	if err := roles[role](args); err != nil {
		log.Print(err)
		return 1
	}
	return 0
}

// serve is a good worker. While the file named by its first argument exists and
// names its slot it crashes at boot; as long as the file named by the second one
// does not exist it does not begin to serve.
func serve(args []string) error {
	if len(args) > 0 {
		if slot, err := os.ReadFile(args[0]); err == nil && strings.TrimSpace(string(slot)) == os.Getenv("GOSUPER_SLOT") {
			return fmt.Errorf("slot %s is cursed", os.Getenv("GOSUPER_SLOT"))
		}
	}
	for len(args) > 1 {
		if _, err := os.Stat(args[1]); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
	return worker.ListenAndServe(os.Getenv("E2E_ADDR"), newHandler())
}

// crash dies at boot, with last words.
func crash(args []string) error {
	log.Print("loading the model")
	return fmt.Errorf("cannot find the model %s", strings.Join(args, " "))
}

// hang is never ready.
func hang([]string) error {
	log.Print("hanging")
	select {}
}

// deaf serves, and no signal but SIGKILL can end it.
func deaf([]string) error {
	signal.Ignore()
	listener, err := inherited()
	if err != nil {
		return err
	}
	if err := worker.Ready(); err != nil {
		return err
	}
	return http.Serve(listener, newHandler())
}

// shrink says that it is ready after it has done to the shared socket what other
// servers do: another backlog, and blocking. It does not serve, for package net
// would make the socket non-blocking again.
func shrink([]string) error {
	if err := unix.Listen(3, 7); err != nil {
		return err
	}
	if err := unix.SetNonblock(3, false); err != nil {
		return err
	}
	if err := worker.Ready(); err != nil {
		return err
	}
	select {}
}

// loud writes so many bytes of noise to stderr as fast as it can, serves, and
// tells under /took how many nanoseconds that took.
func loud(args []string) error {
	n, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	fmt.Println("on stdout")
	begin := time.Now()
	if _, err := io.Copy(os.Stderr, noise(n)); err != nil {
		return err
	}
	took := time.Since(begin)
	handler := newHandler()
	handler.HandleFunc("/took", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, took.Nanoseconds()) })
	return worker.ListenAndServe(os.Getenv("E2E_ADDR"), handler)
}

// noise is n bytes in which all values occur and none repeats soon.
func noise(n int64) io.Reader {
	block := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(block)
	return io.LimitReader(cycle{block, new(int)}, n)
}

type cycle struct {
	block []byte
	at    *int
}

func (c cycle) Read(b []byte) (int, error) {
	n := copy(b, c.block[*c.at:])
	*c.at = (*c.at + n) % len(c.block)
	return n, nil
}

// inherited is the first socket, without package worker, which would watch over
// the signals, and finds its descriptor in place when it is asked for something else.
func inherited() (net.Listener, error) {
	fd, err := unix.FcntlInt(3, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close()
	return net.FileListener(file)
}

// newHandler is what all roles answer.
func newHandler() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(path string, f http.HandlerFunc) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Worker-Pid", strconv.Itoa(os.Getpid()))
			if only := r.FormValue("only"); only != "" && only != strconv.Itoa(os.Getpid()) {
				w.WriteHeader(http.StatusMisdirectedRequest)
				return
			}
			f(w, r)
		})
	}
	handle("/", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "generation %s\n", os.Getenv("GOSUPER_GENERATION"))
	})
	handle("/sleep", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush() // the client knows that it is being served
		time.Sleep(duration(r))               // as asked for
		fmt.Fprintln(w, "slept")
	})
	handle("/recycle", func(w http.ResponseWriter, r *http.Request) {
		if err := worker.Recycle(r.FormValue("why")); err != nil {
			panic(err)
		}
	})
	handle("/stream", stream)
	handle("/answer", answer)
	handle("/exit", func(_ http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(os.Stderr, "told to exit")
		os.Exit(3)
	})
	handle("/orphan", func(w http.ResponseWriter, _ *http.Request) {
		// The shell is gone when its children are still there.
		cmd := exec.Command("sh", "-c", "for i in 1 2 3 4 5; do sleep 0.05 & done")
		if err := cmd.Run(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	handleSlow(handle)
	handleHostile(handle)
	handlePry(handle)
	handle("/leak", leak)
	handle("/facts", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(ownFacts()) })
	return mux
}

func duration(r *http.Request) time.Duration {
	d, err := time.ParseDuration(r.FormValue("d"))
	if err != nil {
		panic(err)
	}
	return d
}

// stream sends a token after each d until the client leaves or the worker drains.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(duration(r))
	defer tick.Stop()
	for {
		fmt.Fprint(w, "event: token\ndata: x\n\n")
		http.NewResponseController(w).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-worker.Draining():
			fmt.Fprint(w, "event: error\ndata: Server shutting down\n\n")
			return
		}
	}
}

// facts are what a worker finds out about itself.
type facts struct {
	Pid, Pgid, Ppid int
	Session         int
	Env             map[string]string
	Given           []string // names of variables, at the start
	Dir             string
	Umask           string
	Uid, Gid        int
	Groups          []int
	NoFile          syscall.Rlimit
	Ignored         string // signals, as /proc/self/status says
	Blocked         string
	Stdin           string
}

func ownFacts() facts {
	session, _ := unix.Getsid(0)
	f := facts{Pid: os.Getpid(), Pgid: syscall.Getpgrp(), Session: session, Ppid: os.Getppid(), Uid: os.Getuid(), Gid: os.Getgid(), Env: map[string]string{}}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		f.Env[name] = value
	}
	// As it was given, while package os leaves out what is there twice.
	environ, _ := os.ReadFile("/proc/self/environ")
	for entry := range strings.SplitSeq(strings.TrimRight(string(environ), "\x00"), "\x00") {
		name, _, _ := strings.Cut(entry, "=")
		f.Given = append(f.Given, name)
	}
	f.Dir, _ = os.Getwd()
	f.Groups, _ = os.Getgroups()
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &f.NoFile)
	f.Stdin, _ = os.Readlink("/proc/self/fd/0")
	status := status(os.Getpid())
	f.Umask, f.Ignored, f.Blocked = status["Umask"], status["SigIgn"], status["SigBlk"]
	return f
}

// status is /proc/PID/status by key; empty if there is no such process.
func status(pid int) map[string]string {
	fields := map[string]string{}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		fields[key] = strings.TrimSpace(value)
	}
	return fields
}
