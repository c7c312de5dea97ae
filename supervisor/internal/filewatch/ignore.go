package filewatch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

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
