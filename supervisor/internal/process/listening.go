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
)

// Listening returns the TCP addresses on which the processes of the tree listen
// beside the sockets with these inodes, such as "127.0.0.1:9000". It is for a hint:
// what cannot be read is left out.
func (t Tree) Listening(but []uint64) []string {
	held := map[uint64]bool{}
	for _, pid := range t {
		links, _ := readLinks("/proc/" + strconv.Itoa(pid) + "/fd")
		for _, link := range links {
			if inode, ok := socketInode(link); ok && !slices.Contains(but, inode) {
				held[inode] = true
			}
		}
	}
	if len(held) == 0 {
		return nil
	}
	var all []string
	for _, table := range []string{"/net/tcp", "/net/tcp6"} {
		f, err := os.Open("/proc/" + strconv.Itoa(t[0]) + table)
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
			if address, ok := tableAddress(fields[1]); ok && held[inode] {
				all = append(all, address.String())
			}
		}
		f.Close()
	}
	slices.Sort(all)
	return slices.Compact(all)
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
