// Command activated takes its sockets by LISTEN_FDS, as sd_listen_fds(3) says, and knows
// nothing of gosuper.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
)

func main() {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		log.Fatal("no socket was passed to this process")
	}
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || n < 1 {
		log.Fatalf("LISTEN_FDS is %q", os.Getenv("LISTEN_FDS"))
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Worker-Pid", strconv.Itoa(os.Getpid()))
		fmt.Fprintln(w, "activated")
	})
	failed := make(chan error)
	for i := range n {
		listener, err := net.FileListener(os.NewFile(uintptr(3+i), "listener"))
		if err != nil {
			log.Fatal(err)
		}
		go func() { failed <- http.Serve(listener, nil) }()
	}
	log.Fatal(<-failed)
}
