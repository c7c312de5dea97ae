package control

import "golang.org/x/sys/unix"

// peerOf is the user at the other end of a unix socket, by unix(4), LOCAL_PEERCRED.
func peerOf(fd int) (uid int, err error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
