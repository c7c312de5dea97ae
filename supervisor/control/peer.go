package control

import "net"

// peerUID is the user who runs the other end: of an accepted connection the one
// who connected, of a dialled one the one who listens.
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	uid := -1
	var failed error
	if err := raw.Control(func(fd uintptr) { uid, failed = peerOf(int(fd)) }); err != nil {
		return -1, err
	}
	return uid, failed
}
