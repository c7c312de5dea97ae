package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Resolved is what one generation of workers runs: names without symlinks, so
// that all its workers run the same files even when a link is moved meanwhile.
type Resolved struct {
	// Dir is the working folder, absolute.
	Dir string `state:"dir"`
	// Path is the executable, absolute. The worker's argv[0] is nevertheless
	// the first word of the command, by which programs like busybox and the
	// python of a virtual environment know what they are.
	Path string `state:"path"`
	// Args are the arguments, argv[0] included, where they are not those of the
	// command: those of the Python that serves an application; else nil.
	Args []string `state:"args"`
}

// Argv is what the command is started with.
func (r Resolved) Argv(command []string) []string {
	if r.Args != nil {
		return r.Args
	}
	return command
}

// Resolve follows the symlinks of chdir and of the program of the command, as
// they are now. A program with a slash in it starts in chdir; one without is
// looked up in the PATH of the workers, whose relative folders are skipped. That
// of an application, see [Config.IsApplication], is Python. The error is an
// *[Error] that names the key.
func (c *Config) Resolve() (Resolved, error) {
	dir, err := filepath.EvalSymlinks(c.workDir())
	if err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(dir); err == nil && !info.IsDir() {
			err = errors.New("it is not a folder")
		}
	}
	if err != nil {
		return Resolved{}, &Error{Key: "chdir", Msg: whyNot("cannot use "+c.workDir(), err)}
	}
	if len(c.Command) == 0 {
		return Resolved{}, &Error{Key: "command", Msg: "is empty"}
	}
	r := Resolved{Dir: dir}
	if c.IsApplication() {
		r.Path, r.Args, err = c.resolveApplication()
	} else {
		r.Path, err = c.findProgram(dir, c.Command[0])
	}
	if err != nil {
		p := problems(err)[0]
		return Resolved{}, &Error{Key: "command", Msg: p.msg, Hint: p.hint}
	}
	return r, nil
}

// ResolveBuild returns the executable of Watch.Build, found as that of the
// command is; "" if there is nothing to build. The error is an *[Error].
func (c *Config) ResolveBuild() (string, error) {
	if len(c.Watch.Build) == 0 {
		return "", nil
	}
	path, err := c.findProgram(c.workDir(), c.Watch.Build[0])
	if err != nil {
		p := problems(err)[0]
		return "", &Error{Key: "watch.build", Msg: p.msg, Hint: p.hint}
	}
	return path, nil
}

// findProgram returns the executable that program means in dir.
func (c *Config) findProgram(dir, program string) (string, error) {
	if strings.Contains(program, "/") {
		path := program
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		found, err := executable(path, program)
		if name := named(program); err != nil && name != "" {
			return "", wrong("a Python application is named by its module: gosuper "+name, "%s", problems(err)[0].msg)
		}
		return found, err
	}
	var unfit error
	for _, folder := range filepath.SplitList(c.path()) {
		if !filepath.IsAbs(folder) {
			continue
		}
		path := filepath.Join(folder, program)
		found, err := executable(path, path)
		if err == nil {
			return found, nil
		}
		if _, statErr := os.Stat(path); statErr == nil && unfit == nil {
			unfit = err
		}
	}
	switch {
	case unfit != nil:
		return "", unfit
	case factory.MatchString(program):
		name, _, _ := strings.Cut(program, "(")
		return "", wrong("a function that returns the application is given as gosuper "+name+" --factory", "cannot run %s: it is a call and no program", quote(program))
	case c.path() == "":
		return "", wrong("give it with a path", "cannot find %s: the workers have no PATH", quote(program))
	}
	return "", wrong(c.whereElse(dir, program), "cannot find %s in PATH", quote(program))
}

// interpreters are what runs a file that is no program, by the end of its name.
var interpreters = map[string]string{".py": "python3", ".js": "node", ".mjs": "node", ".cjs": "node", ".rb": "ruby"}

// maxPath is the longest PATH that helps whoever has to read it, in bytes.
const maxPath = 100

// whereElse says what to write for a program that is in no folder of PATH.
func (c *Config) whereElse(dir, program string) string {
	for _, folder := range []string{".", "bin", ".venv/bin", "venv/bin", "node_modules/.bin"} {
		path := folder + "/" + program
		if _, err := executable(filepath.Join(dir, path), ""); err == nil {
			return "there is one in the working folder: write " + quote(path)
		}
	}
	folders := filepath.SplitList(c.path())
	interpreter, known := interpreters[filepath.Ext(program)]
	_, err := os.Stat(filepath.Join(dir, program))
	_, noModule := os.Stat(filepath.Join(dir, strings.ReplaceAll(program, ".", "/")+".py"))
	switch first, _, several := strings.Cut(program, " "); {
	case noModule == nil:
		return "it is a Python module: name the application in it, MODULE:ATTR, such as " + program + ":app"
	case known && err == nil:
		return "it is a file in the working folder: gosuper [flags] " + interpreter + " " + program
	case filepath.Ext(program) == ".toml" && err == nil:
		return asConfiguration(program)
	case several:
		return "it is one word with blanks in it: give " + quote(first) + " and its arguments without quotes around them all"
	case len(c.path()) <= maxPath:
		return "the PATH of the workers is " + c.path()
	}
	return fmt.Sprintf("it is in none of the %d folders of the workers' PATH: give it with its folder, or set PATH", len(folders))
}

// asConfiguration says what to write for a file that is no program, but was meant as the
// configuration.
func asConfiguration(file string) string { return "a configuration is read by gosuper -c " + file }

// executable follows the symlinks of path and checks that there is a file that
// somebody may execute. Whether the user of the workers may is theirs to see.
func executable(path, shown string) (string, error) {
	cannot := fmt.Sprintf("cannot run %s", quote(shown))
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) && path != shown {
			hint = "looked for " + path
		}
		return "", wrong(hint, "%s", whyNot(cannot, err))
	}
	info, err := os.Stat(resolved)
	switch {
	case err != nil:
		return "", wrong("", "%s", whyNot(cannot, err))
	case info.IsDir():
		return "", wrong("name a program in it", "%s: it is a folder", cannot)
	case !info.Mode().IsRegular():
		return "", wrong("", "%s: it is not a regular file", cannot)
	case info.Mode()&0o111 == 0:
		if interpreter, known := interpreters[filepath.Ext(path)]; known {
			return "", wrong("gosuper [flags] "+interpreter+" "+shown+", or chmod +x "+path, "%s: it is not executable", cannot)
		}
		if filepath.Ext(path) == ".toml" {
			return "", wrong(asConfiguration(shown), "%s: it is not executable", cannot)
		}
		return "", wrong("chmod +x "+path, "%s: it is not executable", cannot)
	}
	return resolved, nil
}
