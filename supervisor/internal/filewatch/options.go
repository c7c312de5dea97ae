package filewatch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Options says what to watch.
type Options struct {
	// Paths are folders and files, absolute. Folders are watched with all that
	// is below them. At least one.
	Paths []string
	// Only are the ends of the names of the files that count, such as ".py"; empty:
	// all but those that are [Ignored].
	Only []string
	// Except are files of which nothing is to be heard, absolute. They need not
	// exist yet.
	Except []string
	// Quiet is how long nothing must have happened before a batch is delivered,
	// and Most how long a batch waits for that; 0: 150 ms, and 2 s.
	Quiet, Most time.Duration
	// Complain is called, from another goroutine, with what goes wrong later on:
	// above all a new folder that cannot be watched.
	Complain func(error)
}

// counts says whether a file of this name is one of those that are watched.
func (o Options) counts(name string) bool {
	return !Ignored(name, false) &&
		(len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(end string) bool { return strings.HasSuffix(name, end) }))
}

// ignoredFolders are folders of files that tools make or install.
var ignoredFolders = map[string]bool{"node_modules": true, "__pycache__": true, "bower_components": true}

// markers are files that say of their folder that tools made it: a virtual
// environment of Python, and a cache, https://bford.info/cachedir/.
var markers = []string{"pyvenv.cfg", "CACHEDIR.TAG"}

// temporary matches the names of files that editors and tools write for
// themselves (Vim, Emacs, JetBrains, Kate, GNOME, the go command), and of data
// that servers write: logs, pid files, sockets, databases.
var temporary = regexp.MustCompile(strings.Join([]string{
	`~$`, `^\.#`, `^#.*#$`, `^4913$`, `\.sw[a-z]$`, `___jb_(tmp|old)___$`, `^\.goutputstream-`, `\.kate-swp$`, `\.tmp$`, `-go-tmp-umask$`,
	`\.py[co]$`, `^\.DS_Store$`,
	`\.log$`, `\.pid$`, `\.sock$`, `\.(db|sqlite3?)(-(wal|shm|journal))?$`,
}, "|"))

// Ignored says whether a name below the watched folders is one that a developer
// does not change by hand: of a folder that is hidden or belongs to a tool, or
// of a file that an editor keeps for itself. What only a look into a folder
// tells is not known here.
func Ignored(name string, folder bool) bool {
	if folder {
		return strings.HasPrefix(name, ".") || ignoredFolders[name]
	}
	return temporary.MatchString(name)
}

// marked says whether a folder has a file in it that says that tools made it.
func marked(folder string) bool {
	for _, name := range markers {
		if _, err := os.Lstat(filepath.Join(folder, name)); err == nil {
			return true
		}
	}
	return false
}
