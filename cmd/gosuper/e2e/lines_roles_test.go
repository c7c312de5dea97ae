//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/gosuper/gosuper/worker"
)

// lines serves a protocol of its own: GET KEY, and HANG KEY that has no answer before its
// limit.
func lines([]string) error {
	listeners, err := worker.Listeners()
	if err != nil {
		return err
	}
	for _, l := range listeners {
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go converse(c)
			}
		}()
	}
	if err := worker.Ready(); err != nil {
		return err
	}
	<-worker.Draining()
	return nil
}

// converse answers the lines of a connection.
func converse(c net.Conn) {
	defer c.Close()
	for in := bufio.NewScanner(c); in.Scan(); {
		verb, key, _ := strings.Cut(in.Text(), " ")
		r := worker.Begin(verb, key)
		if verb == "HANG" {
			<-r.Context().Done()
			fmt.Fprintln(c, "TIMEOUT")
		} else {
			fmt.Fprintln(c, "VALUE", key)
		}
		r.End(http.StatusOK)
	}
}
