// Command plain is a worker that knows nothing of gosuper but that descriptor 3
// is a listening socket. A request for /orphans makes five processes that outlive
// the one that started them.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		play(os.Args[1])
		return
	}
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Worker-Pid", strconv.Itoa(os.Getpid()))
		fmt.Fprintln(w, "plain")
	})
	http.HandleFunc("/orphans", func(w http.ResponseWriter, _ *http.Request) {
		if err := again("parent").Run(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	log.Fatal(http.Serve(listener, nil))
}

// play is what the processes that a worker starts do.
func play(role string) {
	if role == "orphan" {
		time.Sleep(50 * time.Millisecond)
		return
	}
	for range 5 {
		if err := again("orphan").Start(); err != nil {
			log.Fatal(err)
		}
	}
}

// again is this program once more.
func again(role string) *exec.Cmd { return exec.Command(os.Args[0], role) }
