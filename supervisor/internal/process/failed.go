//go:build linux

package process

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/gosuper/gosuper/supervisor/internal/process/shim"
)

// A shim that could not exec goes on initialising like any other process, and
// ends here, before main, with the standard library at hand for the words.
func init() {
	f := shim.Failed()
	if f == nil {
		return
	}
	problem, hint, status := explain(f)
	text := "gosuper: error: cannot start worker: " + problem + "\n"
	if hint != "" {
		text += "gosuper: hint: " + hint + "\n"
	}
	os.Stderr.WriteString(text) // in one write, so that it stays in one piece
	os.Exit(status)
}

func explain(f *shim.Failure) (problem, hint string, status int) {
	err := syscall.Errno(f.Errno)
	switch f.Step {
	case shim.StepKeyring:
		problem = fmt.Sprintf("a session keyring: %v", err)
		if err == syscall.EDQUOT {
			hint = "the user of the master has no room for another key: see kernel.keys.maxkeys and /proc/key-users"
		}
		return problem, hint, shim.ExitCannot
	case shim.StepUser:
		problem = fmt.Sprintf("setuid %d, setgid %d: %v", f.Plan.User.UID, f.Plan.User.GID, err)
		if err == syscall.EPERM {
			hint = "only root can change the user of a worker (CAP_SETUID and CAP_SETGID)"
		}
		return problem, hint, shim.ExitCannot
	case shim.StepNoFile, shim.StepCore, shim.StepAS, shim.StepNice, shim.StepOOMScoreAdj, shim.StepNoNewPrivs:
		return explainLimit(f, err), limitHint(f.Step, err), shim.ExitCannot
	case shim.StepChdir:
		problem = fmt.Sprintf("chdir %s: %v", f.Plan.Dir, err)
		if err == syscall.EACCES {
			hint = "the user of the worker must be able to enter this folder and all above it"
		}
		return problem, hint, shim.ExitCannot
	case shim.StepExec:
		status = shim.ExitCannot
		if err == syscall.ENOENT || err == syscall.ENOTDIR {
			status = shim.ExitNotFound
		}
		return fmt.Sprintf("exec %s: %v", f.Plan.Path, err), execHint(f.Plan.Path, err), status
	}
	return "the environment variable GOSUPER_EXEC is not one of gosuper's own", "unset it, the name is reserved", shim.ExitCannot
}

// explainLimit names a limit as the configuration does.
func explainLimit(f *shim.Failure, err error) string {
	l := f.Plan.Limits
	name, value := "no_new_privs", "true"
	switch f.Step {
	case shim.StepNoFile:
		name, value = "nofile", strconv.Itoa(l.NoFile)
	case shim.StepCore:
		name, value = "core", strconv.Itoa(l.Core)
	case shim.StepAS:
		name, value = "as", strconv.Itoa(l.AS)
	case shim.StepNice:
		name, value = "nice", strconv.Itoa(l.Nice)
	case shim.StepOOMScoreAdj:
		name, value = "oom_score_adj", strconv.Itoa(l.OOMScoreAdj)
	}
	return fmt.Sprintf("limits.%s = %s: %v", name, value, err)
}

// limitHint says what a limit needs that was refused.
func limitHint(step shim.Step, err error) string {
	if !errors.Is(err, os.ErrPermission) {
		return ""
	}
	switch step {
	case shim.StepNice:
		return "a nice value below the master's needs CAP_SYS_NICE"
	case shim.StepOOMScoreAdj:
		return "a value below the master's needs CAP_SYS_RESOURCE"
	}
	return "a limit above the master's hard limit needs CAP_SYS_RESOURCE, and no nofile is above fs.nr_open"
}

// execHint says what is probably behind an execve(2) error, whose own text
// often misleads: the file that "does not exist" may be the interpreter. It is
// "" where nothing better is known.
func execHint(path string, err syscall.Errno) string {
	info, statErr := os.Stat(path)
	line := firstLine(path)
	switch err {
	case syscall.ENOENT:
		switch {
		case statErr != nil:
			return ""
		case strings.HasPrefix(line, "#!"):
			return fmt.Sprintf("the file is there, but the interpreter of its first line %q is not", line)
		}
		return "the file is there, but the dynamic loader it needs is not: it was built for another libc, or the image is too small"
	case syscall.EACCES:
		switch {
		case errors.Is(statErr, os.ErrPermission):
			return "the user of the worker may not enter a folder on the way"
		case statErr != nil:
			return ""
		case info.IsDir():
			return "it is a folder"
		case info.Mode()&0o111 == 0:
			return "it is not executable: chmod +x " + path
		}
		return "its mode keeps this user out, its interpreter is not executable, or its file system is mounted noexec"
	case syscall.ENOEXEC:
		if strings.HasPrefix(line, "\x7fELF") {
			return "it was built for another architecture"
		}
		return "it is no program for this architecture, and a script needs a first line like #!/bin/sh"
	case syscall.EPERM:
		return "it has capabilities of its own (getcap), which the user of a worker does not get"
	case syscall.EAGAIN:
		return "its user has reached the limit of processes (RLIMIT_NPROC)"
	}
	return ""
}

// firstLine returns the beginning of a file up to the first line end, at most
// as much as the kernel looks at for an interpreter (BINPRM_BUF_SIZE); "" if
// there is no such line or it cannot be read.
func firstLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head, _ := bufio.NewReaderSize(f, 256).Peek(256)
	line, _, _ := strings.Cut(string(head), "\n")
	return line
}
