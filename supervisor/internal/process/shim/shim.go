//go:build linux

package shim

// Step is what the shim was at when it failed.
type Step int

const (
	StepPlan        Step = iota // the environment holds no plan that Environ wrote
	StepNoFile                  // the limits, one by one
	StepCore                    //
	StepNice                    //
	StepOOMScoreAdj             //
	StepKeyring                 // leaving the keyring of the master
	StepUser                    // changing groups and user
	StepNoNewPrivs              // giving up the ways to other users
	StepChdir                   // entering the folder
	StepAS                      // the limit of the address space
	StepExec                    // executing the worker's program
)

// Failure is why a process that should have become a worker did not.
type Failure struct {
	Plan  *Plan // nil for StepPlan
	Step  Step
	Errno uintptr // of the system call; 0 for StepPlan
}

var failure *Failure

// Failed returns nil in every process that is not a shim, and in a shim why it
// could not exec its worker; such a process should say so and exit.
func Failed() *Failure { return failure }

// An init function runs on the main thread, which is what makes system calls
// that concern one thread enough here: exec ends every other thread, and the
// death signal belongs to the one that execs.
func init() {
	environ := runtimeEnvs()
	if len(environ) == 0 {
		return
	}
	if hasPrefix(environ[0], upgradeKey) {
		conceal()
		ignoreStops()
		return
	}
	if !hasPrefix(environ[0], key) {
		return
	}
	p, ok := parse(environ)
	if !ok {
		failure = &Failure{Step: StepPlan}
		return
	}
	step, errno := p.run()
	failure = &Failure{Plan: p, Step: step, Errno: errno}
}

// run returns only if a step fails. The order matters: signals first, so that
// from here on a stop signal ends the process as it would end a program without
// handlers; limits before the user, who may not set all of them; the keyring before the user, whose
// quota of keys others may have used up; the folder after
// the user, who may be the only one allowed to enter it; the death signal after the user, as the kernel clears it with a change of
// credentials (prctl(2), PR_SET_PDEATHSIG); the parent after the death signal,
// since for a master that died before that no signal comes; and the address space
// at the very last, for what the shim has of it may already be more.
func (p *Plan) run() (Step, uintptr) {
	resetSignals()
	if p.Umask >= 0 {
		umask(p.Umask)
	}
	if step, errno := p.Limits.set(); errno != 0 {
		return step, errno
	}
	if p.User != nil {
		if errno := p.User.leaveKeyring(); errno != 0 {
			return StepKeyring, errno
		}
		if errno := p.User.become(); errno != 0 {
			return StepUser, errno
		}
	}
	if p.Limits.NoNewPrivs {
		if errno := noNewPrivs(); errno != 0 {
			return StepNoNewPrivs, errno
		}
	}
	if p.Dir != "" {
		if errno := chdir(p.Dir); errno != 0 {
			return StepChdir, errno
		}
	}
	dieWithMaster()
	if getppid() != p.Master {
		exit(1)
	}
	closeOnExec(p.Files)
	const listenPID = "LISTEN_PID="
	for i, entry := range p.Env {
		if hasPrefix(entry, listenPID) {
			p.Env[i] = listenPID + itoa(getpid())
		}
	}
	program := prepare(p.Path, p.Argv, p.Env)
	limit := p.Limits.AS
	if limit < 0 {
		return StepExec, program.exec()
	}
	last := p.lastWords()
	if errno := setLimit(rlimitAS, limit); errno != 0 {
		return StepAS, errno
	}
	last.die(program.exec())
	return StepExec, 0
}

// lastWords has all the memory that die needs: within the limit of the address
// space Go's runtime may find none, and allocating ends the process with a dump.
type lastWords struct{ text []byte }

func (p *Plan) lastWords() lastWords {
	const head = "gosuper: error: cannot start worker: exec "
	return lastWords{append(make([]byte, 0, len(head)+len(p.Path)+128), head+p.Path+": "...)}
}

// die says why the program could not be executed, and ends the process.
func (l lastWords) die(errno uintptr) {
	text, status := l.text, ExitCannot
	switch errno {
	case 2: // ENOENT
		text, status = append(text, "no such file or directory"...), ExitNotFound
	case 8: // ENOEXEC
		text = append(text, "exec format error"...)
	case 12: // ENOMEM
		text = append(text, "cannot allocate memory"...)
	case 13: // EACCES
		text = append(text, "permission denied"...)
	case 20: // ENOTDIR
		text, status = append(text, "not a directory"...), ExitNotFound
	default:
		text = append(text, "error "...)
		for unit := uintptr(1000); unit > 0; unit /= 10 { // no errno is above 4095
			if errno >= unit {
				text = append(text, byte('0'+errno/unit%10))
			}
		}
	}
	text = append(text, "\ngosuper: hint: without limits.as more can be said\n"...)
	complain(text)
	exit(status)
}

// Exit statuses of a process that could not become its worker, as in a shell:
// what should be executed is not there, or it is and cannot be.
const (
	ExitNotFound = 127
	ExitCannot   = 126
)

// set puts all limits into force that do not hinder the shim.
func (l *Limits) set() (Step, uintptr) {
	if l.Core >= 0 {
		if errno := setLimit(rlimitCore, l.Core); errno != 0 {
			return StepCore, errno
		}
	}
	if l.Nice != 0 {
		if errno := setNice(l.Nice); errno != 0 {
			return StepNice, errno
		}
	}
	if l.OOMScoreAdj != 0 {
		if errno := setOOMScoreAdj(itoa(l.OOMScoreAdj)); errno != 0 {
			return StepOOMScoreAdj, errno
		}
	}
	// Last, since what is above opens a file.
	if l.NoFile >= 0 {
		if errno := setLimit(rlimitNoFile, l.NoFile); errno != 0 {
			return StepNoFile, errno
		}
	}
	return 0, 0
}
