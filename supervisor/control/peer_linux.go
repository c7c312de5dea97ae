package control

import "golang.org/x/sys/unix"

// peerOf is the user at the other end of a unix socket, by unix(7), SO_PEERCRED.
func peerOf(fd int) (uid int, err error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
