package config

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// anyText accepts every text.
func anyText(string) error { return nil }

// checkCommand checks that there is a program to run.
func checkCommand(command []string) error {
	if len(command) == 0 || command[0] == "" {
		return wrong(`as in command = ["./agent-server"]`, "must begin with a program")
	}
	return nil
}

// maxName is the length of the longest name, in bytes.
const maxName = 64

// checkName checks a name that becomes part of the names of files.
func checkName(name string) error {
	switch {
	case name == "." || name == ".." || strings.ContainsRune(name, '/'):
		return wrong("", "must be a name, not the path %s", quote(name))
	case strings.ContainsFunc(name, unicode.IsControl):
		return wrong("", "must be a name without control characters, not %s", quote(name))
	case len(name) > maxName:
		return wrong("", "must have at most %d bytes, not %d", maxName, len(name))
	}
	return nil
}

// nameOf is the name of a master of which only the program is known. A program
// may be called what a master may not.
func nameOf(program string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, filepath.Base(program))
	for len(name) > maxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if checkName(name) != nil {
		return "gosuper"
	}
	return name
}

// checkWatched refuses paths that would mean nothing.
func checkWatched(paths []string) error {
	if len(paths) == 0 || slices.Contains(paths, "") {
		return wrong(`"." is the folder of the workers`, "must name files or folders")
	}
	return nil
}

// checkBuild refuses arguments without a program.
func checkBuild(command []string) error {
	if len(command) > 0 && command[0] == "" {
		return wrong(`as in build = ["go", "build", "-o", "bin/server", "."]`, "must begin with a program")
	}
	return nil
}

// checkLogFile refuses the one path that would mean nothing.
func checkLogFile(path string) error {
	if path == "" {
		return wrong(`"-" is stderr`, "must be a file")
	}
	return nil
}

// checkControl refuses what is neither a path nor one of the two words.
func checkControl(path string) error {
	if path == "" {
		return wrong(`"off" is no control socket`, "must not be empty")
	}
	if bare, ok := strings.CutPrefix(path, "unix:"); ok {
		return wrong(didYouMean(quote(bare)), "must be a path alone")
	}
	if path[0] == '@' {
		return wrong("", "must be a path, not an abstract address: those have no owner")
	}
	return nil
}

// finish computes what depends on several keys, and checks what only several
// keys together show. It skips a check when one of its keys is already known to
// be wrong, for that key then has its default.
func (l *loader) finish() {
	c := l.config
	if len(c.Command) == 0 {
		if !l.failed["command"] && !l.fileFailed {
			l.errs.add(&Error{
				File: l.source.File, Key: "command", Msg: "is missing: there is nothing to supervise", Hint: l.source.whatToSupervise(),
			})
		}
	} else if c.Name == "" {
		c.Name = nameOf(c.Command[0])
	}
	l.chooseTimeouts()
	if c.Restart.BackoffMax < c.Restart.BackoffMin && l.sound("restart.backoff_min", "restart.backoff_max") {
		l.fail(l.stronger("restart.backoff_min", "restart.backoff_max"),
			wrong("", "backoff_min (%s) must not be above backoff_max (%s)",
				formatDuration(c.Restart.BackoffMin), formatDuration(c.Restart.BackoffMax)))
	}
	if c.StopSignal == c.AbortSignal && l.sound("stop_signal", "abort_signal") {
		l.fail(l.stronger("stop_signal", "abort_signal"),
			wrong("a worker must be able to tell them apart", "stop_signal and abort_signal are both %s", c.StopSignal))
	}
	if c.Ready.Mode == ReadyAfter && c.Ready.After >= c.StartupTimeout && l.sound("ready", "startup_timeout") {
		l.fail(l.stronger("ready", "startup_timeout"),
			wrong("", "ready (%s) must be below startup_timeout (%s), or no worker is ever ready in time",
				formatDuration(c.Ready.After), formatDuration(c.StartupTimeout)))
	}
	if c.Ready.Mode == ReadyAuto && c.Ready.After >= c.StartupTimeout && l.sound("startup_timeout") {
		l.warn("startup_timeout is so short that a plain worker, which is ready when alive for %s, never is", formatDuration(c.Ready.After))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if value := c.Env[name]; c.Preload && c.differs(value) && strings.Contains(value, "\n") && l.sound("preload", "env") {
			l.fail("env", wrong("the loader is told it in one line", "%s has a placeholder and more than one line, which cannot be with preload", name))
		}
	}
	l.checkProxy()
	l.compareDemand()
	l.compareResources()
	l.compareSpares()
	l.checkServer(environMap(l.source.Environ))
	l.warnings = append(l.warnings, foreignVariables(environMap(l.source.Environ), c.Command)...)
	l.compareTimeouts()
	l.compareLimits()
	if l.failed["chdir"] {
		// Every other path starts there.
		return
	}
	l.makePathsAbsolute()
	l.compareAdmin()
	l.readEnvFile()
	l.readTLS()
}

// sound reports whether none of the keys is known to be wrong.
func (l *loader) sound(keys ...string) bool {
	for _, k := range keys {
		if l.failed[k] {
			return false
		}
	}
	return true
}

// stronger returns which of two keys was set by the later layer, or further down
// in the file: the one whose writer brought about the contradiction.
func (l *loader) stronger(a, b string) string {
	first, second := l.origins[a], l.origins[b]
	if cmp.Or(cmp.Compare(first.layer, second.layer), cmp.Compare(first.line, second.line)) > 0 {
		return a
	}
	return b
}

// Stdout and Stderr are how the two streams are called after Load, whatever they
// were called before. They mean the descriptors: opening these files fails where
// they are sockets, as under systemd, or belong to another user.
const (
	Stdout = "/dev/stdout"
	Stderr = "/dev/stderr"
)

// stream is the name of the stream that path means; path itself if it means none.
func stream(path string) string {
	switch path {
	case Stdout, "/dev/fd/1", "/proc/self/fd/1":
		return Stdout
	case Stderr, "/dev/fd/2", "/proc/self/fd/2":
		return Stderr
	}
	return path
}

// makePathsAbsolute resolves the relative paths against the working folder of
// the workers, and that against the folder gosuper was started in.
func (l *loader) makePathsAbsolute() {
	c := l.config
	if c.Chdir != "" && !filepath.IsAbs(c.Chdir) {
		c.Chdir = filepath.Join(c.Dir, c.Chdir)
	}
	files := []*string{&c.PIDFile, &c.EnvFile, &c.TLS.Cert, &c.TLS.Key, &c.Incidents.Dir}
	for _, log := range []*string{&c.Log.File, &c.Log.AccessFile} {
		if *log != "-" {
			files = append(files, log)
		}
	}
	for _, file := range files {
		if *file != "" {
			*file = c.absolute(*file)
		}
	}
	for log, usual := range map[*string]string{&c.Log.File: Stderr, &c.Log.AccessFile: Stdout} {
		if *log = stream(*log); *log == usual {
			*log = "-"
		}
	}
	if socket := &c.Control.Socket; *socket != "auto" && *socket != "off" {
		*socket = c.absolute(*socket)
		if len(*socket) > maxUnixPath {
			l.fail("control.socket", wrong("", "the path of a unix socket has at most %d bytes, which %s has not", maxUnixPath, quote(*socket)))
		}
	}
	for i, address := range c.Bind {
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			path = c.absolute(path)
			c.Bind[i] = "unix:" + path
			if len(path) > maxUnixPath {
				l.fail("bind", wrong("", "the path of a unix socket has at most %d bytes, which %s has not", maxUnixPath, quote(path)))
			}
		}
	}
	if path, ok := strings.CutPrefix(c.Admin.Bind, "unix:"); ok {
		path = c.absolute(path)
		c.Admin.Bind = "unix:" + path
		if len(path) > maxUnixPath {
			l.fail("admin.bind", wrong("", "the path of a unix socket has at most %d bytes, which %s has not", maxUnixPath, quote(path)))
		}
	}
	l.compareSlots()
	// Two spellings of one path show only now.
	if err := checkAddresses(c.Bind); err != nil && l.sound("bind") {
		l.fail("bind", err)
	}
}
