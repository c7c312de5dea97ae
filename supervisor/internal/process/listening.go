//go:build linux

package process

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ports are the TCP addresses on which somebody listens, by the inode of the socket, of
// the network namespaces that were asked about: a table is read once for all processes of
// one, since the kernel looks through all connections for it.
type ports struct {
	mu  sync.Mutex
	all map[string]map[uint64]string
}

// of returns the addresses on which sockets with these inodes listen, as seen by a
// process, such as "127.0.0.1:9000". It is for a hint: what cannot be read is left out.
func (p *ports) of(pid int, inodes map[uint64]bool) []string {
	if len(inodes) == 0 {
		return nil
	}
	proc := "/proc/" + strconv.Itoa(pid)
	namespace, err := os.Readlink(proc + "/ns/net")
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.all[namespace]
	if !ok {
		known = listeners(proc)
		if p.all == nil {
			p.all = map[string]map[uint64]string{}
		}
		p.all[namespace] = known
	}
	var found []string
	for inode := range inodes {
		if address, ok := known[inode]; ok {
			found = append(found, address)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// listeners reads the tables of a process.
func listeners(proc string) map[uint64]string {
	found := map[uint64]string{}
	for _, table := range []string{"/net/tcp", "/net/tcp6"} {
		f, err := os.Open(proc + table)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		lines.Scan() // the heading
		for lines.Scan() {
			// sl: address peer state queues timer retransmits uid timeout inode ...
			const listen = "0A"
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != listen {
				break // those that listen come first
			}
			inode, _ := strconv.ParseUint(fields[9], 10, 64)
			if address, ok := tableAddress(fields[1]); ok {
				found[inode] = address.String()
			}
		}
		f.Close()
	}
	return found
}

// tableAddress reads an address of /proc/net/tcp, whose words of 32 bits are
// written as the machine has them in memory: "0100007F:2328" is 127.0.0.1:9000
// where the low byte comes first.
func tableAddress(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(host)
	if err != nil || len(words)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	number, err := strconv.ParseUint(port, 16, 16)
	address, ok := netip.AddrFromSlice(words)
	return netip.AddrPortFrom(address, uint16(number)), ok && err == nil
}
