package control

import "golang.org/x/sys/unix"

// credentials is the other end of a unix socket, by unix(4), LOCAL_PEERCRED. There
// is one pid namespace.
func credentials(fd int) (peer, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return peer{}, err
	}
	return peer{uid: int(cred.Uid), pid: -1}, nil
}
