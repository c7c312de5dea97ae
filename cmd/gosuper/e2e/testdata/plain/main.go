// Command plain is a worker that knows nothing of gosuper but that descriptor 3
// is a listening socket.
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
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Worker-Pid", strconv.Itoa(os.Getpid()))
		fmt.Fprintln(w, "plain")
	})))
}
