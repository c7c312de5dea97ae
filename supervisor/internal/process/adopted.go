//go:build linux

package process

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Orphan is a process that this one has adopted: its parent has ended, and left it
// behind. What it says of itself, environment and command, may be a lie.
type Orphan struct {
	Pid     int
	Group   int    // its process group; 0: it is not known
	Session int    // likewise
	Ended   bool   // it waits to be reaped, or was
	Killed  bool   // SIGKILL was sent to it: it ends as soon as the kernel lets it
	Status  Status // of one that was reaped
	Ignored uint64 // the signals it ignored, as in /proc/PID/status, of one that was reaped and had ended by SIGKILL

	// Of one that is alive.
	Command string   // with its arguments, cut and fit for a log
	Env     []string // as it was started; nil: it cannot be read
}

// Value is a variable of the environment it was started with; "" if there is none.
func (o Orphan) Value(name string) string {
	for _, entry := range o.Env {
		if len(entry) > len(name) && entry[len(name)] == '=' && entry[:len(name)] == name {
			return entry[len(name)+1:]
		}
	}
	return ""
}

// Ignores says whether a signal would not have ended it: of one that was reaped and had
// ended by SIGKILL.
func (o Orphan) Ignores(signal syscall.Signal) bool {
	return signal > 0 && o.Ignored&(1<<(signal-1)) != 0
}

// Kill ends it, and what is in its process group if it leads one. It must not have
// been reaped.
func (o Orphan) Kill() error {
	if o.Group == o.Pid {
		return KillGroup(o.Pid)
	}
	return kill(o.Pid, o.Pid, syscall.SIGKILL)
}

// maxCommand bounds the command of an [Orphan] in bytes.
const maxCommand = 200

// Adopted returns the children of this process that are not known: what it has adopted
// as PID 1 or by [BecomeSubreaper], and not reaped yet.
func Adopted(known func(pid int) bool) (orphans []Orphan) {
	var r procReader
	for _, pid := range r.own() {
		if known(pid) || isDeparting(pid) {
			continue
		}
		o := identify(pid)
		o.Ended, o.Killed = r.ended(pid), r.killed(pid)
		// Of a process that ends just now there is neither; nobody needs to know it.
		if text, err := r.read("/proc/" + strconv.Itoa(pid) + "/cmdline"); err == nil {
			o.Command = commandLine(text)
		}
		if text, err := r.read("/proc/" + strconv.Itoa(pid) + "/environ"); err == nil {
			o.Env = strings.Split(string(text), "\x00")
		}
		orphans = append(orphans, o)
	}
	return orphans
}

// Sessions returns those of the children of this process. Of the children nothing is read
// that they could keep a reader from.
func Sessions() (sessions []int) {
	var r procReader
	for _, pid := range r.own() {
		if session, err := unix.Getsid(pid); err == nil {
			sessions = append(sessions, session)
		}
	}
	return sessions
}

// own returns the children of this process, as far as they can be found.
func (r *procReader) own() []int {
	if r.listsChildren() {
		return r.children(os.Getpid())
	}
	all, _ := r.scan() // an error is that there is no /proc
	return all[os.Getpid()]
}

// identify returns who a child is, dead or alive, that was not reaped yet.
func identify(pid int) Orphan {
	o := Orphan{Pid: pid}
	o.Group, _ = unix.Getpgid(pid)
	o.Session, _ = unix.Getsid(pid)
	return o
}

// ended reports whether a child is a zombie, or about to be one.
func (r *procReader) ended(pid int) bool {
	text, err := r.read("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	after := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(after) < 7 {
		return true
	}
	// It may take a while to give its memory back: the flags are those of the kernel's
	// include/linux/sched.h.
	const exiting = 0x4
	flags, _ := decimal(after[6])
	return slices.Contains([]string{"Z", "X"}, string(after[0])) || flags&exiting != 0
}

// killed reports whether SIGKILL is pending for a child. It is until the child is
// reaped: before it ends by it, which may take long where many want a processor, and
// afterwards.
func (r *procReader) killed(pid int) bool {
	// Of its first thread, and of all.
	return r.signals(pid, "SigPnd", "ShdPnd")&(1<<(syscall.SIGKILL-1)) != 0
}

// signals returns what is in these sets of signals of a child; of a zombie too.
func (r *procReader) signals(pid int, names ...string) (all uint64) {
	text, err := r.read("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		name, set, _ := bytes.Cut(line, []byte(":"))
		if !slices.Contains(names, string(name)) {
			continue
		}
		if some, err := strconv.ParseUint(string(bytes.TrimSpace(set)), 16, 64); err == nil {
			all |= some
		}
	}
	return all
}

// commandLine makes a line of the arguments in /proc/PID/cmdline.
func commandLine(text []byte) string {
	line := cleanLine(bytes.ReplaceAll(bytes.TrimRight(text, "\x00"), []byte{0}, []byte{' '}))
	if len(line) > maxCommand {
		line = strings.ToValidUTF8(line[:maxCommand], "") + "..."
	}
	return line
}
