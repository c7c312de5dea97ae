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
	Dir string
	// Path is the executable, absolute. The worker's argv[0] is nevertheless
	// the first word of the command, by which programs like busybox and the
	// python of a virtual environment know what they are.
	Path string
}

// Resolve follows the symlinks of chdir and of the program of the command, as
// they are now. A program with a slash in it starts in chdir; one without is
// looked up in the PATH of the workers, whose relative folders are skipped. The
// error is an *[Error] that names the key.
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
	path, err := c.findProgram(dir, c.Command[0])
	if err != nil {
		p := problems(err)[0]
		return Resolved{}, &Error{Key: "command", Msg: p.msg, Hint: p.hint}
	}
	return Resolved{Dir: dir, Path: path}, nil
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
		return executable(path, program)
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
	case c.path() == "":
		return "", wrong("give it with a path", "cannot find %s: the workers have no PATH", quote(program))
	}
	hint := "the PATH of the workers is " + c.path()
	if _, err := executable(filepath.Join(dir, program), ""); err == nil {
		hint = "there is one in the working folder: write " + quote("./"+program)
	}
	return "", wrong(hint, "cannot find %s in PATH", quote(program))
}

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
		return "", wrong("chmod +x "+path, "%s: it is not executable", cannot)
	}
	return resolved, nil
}
