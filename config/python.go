package config

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// application matches what uvicorn and Gunicorn are started with, module:attribute.
var application = regexp.MustCompile(`^[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*:[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*)*$`)

// factory matches what Gunicorn is started with if it is to call it.
var factory = regexp.MustCompile(`^([\pL_][\pL\pN_.]*:[\pL_][\pL\pN_.]*)\(.*\)$`)

// file matches an application whose module is given as its file.
var file = regexp.MustCompile(`^(?:\./)?([\pL\pN_./]+?)(?:\.py)?(:[\pL_][\pL\pN_.]*)$`)

// named returns the application that is meant by one whose module is given as its file,
// in that form; "": it is no such thing.
func named(word string) string {
	parts := file.FindStringSubmatch(word)
	if parts == nil || !strings.Contains(word, "/") {
		return ""
	}
	if name := strings.ReplaceAll(parts[1], "/", ".") + parts[2]; NamesApplication(name) {
		return name
	}
	return ""
}

// NamesApplication reports whether a word has the form of a Python application,
// module:attribute.
func NamesApplication(word string) bool { return application.MatchString(word) }

// IsApplication reports whether the command is a Python application and its
// options, module:attribute, which package gosuper of Python serves. A program of
// that name, or a file in the folder of the workers, is none.
func (c *Config) IsApplication() bool {
	if len(c.Command) == 0 || !NamesApplication(c.Command[0]) {
		return false
	}
	return !slices.ContainsFunc(append(filepath.SplitList(c.path()), c.workDir()), func(folder string) bool {
		_, err := os.Lstat(filepath.Join(folder, c.Command[0]))
		return filepath.IsAbs(folder) && err == nil
	})
}

// resolveApplication returns the executable of the Python that serves the
// application of the command, and what it is started with.
func (c *Config) resolveApplication() (path string, args []string, err error) {
	python, err := c.findPython()
	if err != nil {
		p := problems(err)[0]
		return "", nil, wrong(p.hint, "cannot run %s, a Python application: %s", quote(c.Command[0]), p.msg)
	}
	path, err = executable(python, python)
	return path, append([]string{python, "-m", "gosuper"}, c.Command...), err
}

// FindPython returns the Python that would serve an application which is started
// with this environment and program, in the current folder, see [Source]. The
// error is an *[Error] without a key.
func FindPython(source Source) (string, error) {
	l, err := newLoader(source)
	if err != nil {
		return "", err
	}
	l.start()
	python, err := l.config.findPython()
	if err != nil {
		p := problems(err)[0]
		return "", &Error{Msg: p.msg, Hint: p.hint}
	}
	return python, nil
}

// findPython returns a Python for an application: that of the virtual environment
// which is active, the one whose packages this program was installed with, or that
// of the PATH. The folder of an environment has its symlinks followed, so that all
// workers of a generation have the same; the interpreter in it has not, for by that
// link it knows its environment.
func (c *Config) findPython() (string, error) {
	if environment := cmp.Or(c.Env["VIRTUAL_ENV"], c.fileEnv["VIRTUAL_ENV"], c.started.virtualEnv); environment != "" {
		path := environment
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.Dir, path)
		}
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		path = filepath.Join(path, "bin", "python")
		if _, err := executable(path, path); err != nil {
			return "", wrong("activate another environment, or unset VIRTUAL_ENV", "there is no Python in VIRTUAL_ENV, %s", environment)
		}
		return path, nil
	}
	if python := c.wheelPython(); python != "" {
		return python, nil
	}
	if python := c.inPath("python3"); python != "" {
		return python, nil
	}
	return "", wrong(`install Python 3, or set VIRTUAL_ENV to an environment with "gosuper[uvicorn]" in it`, "there is no python3 in PATH")
}

// wheelPython returns the Python that has the package which this program belongs
// to: of the virtual environment that it is in, or of the version for which
// pip install has put it beside others, as with --user; "": there is none.
func (c *Config) wheelPython() string {
	program, err := filepath.EvalSymlinks(c.started.program)
	if err != nil {
		return ""
	}
	bin := filepath.Dir(program)
	packages, _ := filepath.Glob(filepath.Join(filepath.Dir(bin), "lib", "python3*", "*-packages", "gosuper-*.dist-info"))
	for _, p := range slices.Backward(packages) {
		name := filepath.Base(filepath.Dir(filepath.Dir(p))) // python3.11
		for _, beside := range []string{name, "python3", "python"} {
			path := filepath.Join(bin, beside)
			if _, err := executable(path, path); err == nil {
				return path
			}
		}
		if python := c.inPath(name); python != "" {
			return python
		}
	}
	return ""
}

// inPath returns where the PATH of the workers has a program, symlinks not
// followed; "": nowhere.
func (c *Config) inPath(program string) string {
	for _, folder := range filepath.SplitList(c.path()) {
		path := filepath.Join(folder, program)
		if _, err := executable(path, path); err == nil && filepath.IsAbs(folder) {
			return path
		}
	}
	return ""
}
