//go:build linux

package proxy

import (
	"bufio"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A listener is a TCP socket on which a process of this machine listens.
type listener struct {
	address string
	user    int
	inode   string
}

func (l listener) port() string {
	_, port, _ := net.SplitHostPort(l.address)
	return port
}

// listeners returns those of this network namespace, by the tables of proc(5). They come
// first there: very many connections may follow.
func listeners() (all []listener) {
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(file)
		for lines.Scan(); lines.Scan(); { // but for the heading
			fields := strings.Fields(lines.Text())
			const listen = "0A" // TCP_LISTEN
			if len(fields) < 10 || fields[3] != listen {
				break
			}
			if user, err := strconv.Atoi(fields[7]); err == nil {
				all = append(all, listener{address: decode(fields[1]), user: user, inode: fields[9]})
			}
		}
		file.Close()
	}
	return all
}

// listening returns those of processes of this session.
func listening() (own []listener) {
	all := map[string]listener{}
	for _, l := range listeners() {
		all["socket:["+l.inode+"]"] = l
	}
	session := strconv.Itoa(os.Getpid()) // which a worker leads
	processes, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range processes {
		text, _ := os.ReadFile(stat)
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // state, parent, group, session
		pid := filepath.Base(filepath.Dir(stat))
		if len(fields) < 4 || fields[3] != session || pid == session {
			continue
		}
		links, _ := filepath.Glob(filepath.Dir(stat) + "/fd/*")
		for _, link := range links {
			target, _ := os.Readlink(link)
			if l, ok := all[target]; ok {
				delete(all, target)
				own = append(own, l)
			}
		}
	}
	return own
}

// decode makes an address of proc(5) one for people: words of four bytes in the order of
// the processor, in hexadecimal, and the port.
func decode(address string) string {
	host, port, _ := strings.Cut(address, ":")
	number, _ := strconv.ParseUint(port, 16, 16)
	var ip net.IP
	for word := range len(host) / 8 {
		n, err := strconv.ParseUint(host[8*word:8*word+8], 16, 32)
		if err != nil {
			return address
		}
		ip = binary.NativeEndian.AppendUint32(ip, uint32(n))
	}
	return net.JoinHostPort(ip.String(), strconv.FormatUint(number, 10))
}
