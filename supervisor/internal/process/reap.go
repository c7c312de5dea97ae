package process

// Exit is the end of a worker.
type Exit struct {
	Pid    int
	Status Status
}

// Reap takes every child that has ended, without waiting for one. Call it
// after each SIGCHLD; signals merge, so it always takes all there are.
//
// A pid that known accepts is a worker: its process group is killed, then it
// is reaped and returned. Everything else is an orphan that this process
// adopted, as PID 1 or by [BecomeSubreaper].
// Once Reap has returned a pid it may belong to anybody.
//
// What was found before an error is returned with it.
func Reap(known func(pid int) bool) (exits []Exit, orphans []Orphan, err error) {
	for {
		one, worker, err := take(known)
		switch {
		case err != nil || one.Pid == 0:
			return exits, orphans, err
		case worker:
			exits = append(exits, Exit{Pid: one.Pid, Status: one.Status})
		default:
			orphans = append(orphans, one)
		}
	}
}
