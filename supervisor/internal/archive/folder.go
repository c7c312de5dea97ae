//go:build linux

package archive

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/supervisor/control"
	"github.com/gosuper/gosuper/supervisor/files"
	"github.com/gosuper/gosuper/supervisor/internal/incidents"
)

// folder is one in which files are kept.
type folder struct{ dir *os.File }

func open(path string) (folder, error) {
	dir, err := files.OpenFolder(path)
	return folder{dir}, err
}

func (f folder) close() { f.dir.Close() }

// check says whether files could be kept in a folder, which it makes.
func check(path string) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	defer f.close()
	return failed("write in", path, unix.Faccessat(f.fd(), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS))
}

func (f folder) fd() int { return int(f.dir.Fd()) }

// stamp is how a name tells the time of an incident, so that names sort by that.
const stamp = "20060102T150405.000000000Z"

// nameOf is the name of the file of an incident, of the master with that name.
func nameOf(master string, one incidents.Incident) string {
	process := fmt.Sprintf("%s-%d", control.WorkerProcess, one.Worker)
	if one.Worker == 0 {
		process = fmt.Sprintf("%s-%d", control.LoaderProcess, one.PID)
	}
	return fmt.Sprintf("%s-%s-%s.json", master, one.At.UTC().Format(stamp), process)
}

// ofMaster matches the names of the files of a master, also of those that are not whole.
func ofMaster(master string) *regexp.Regexp {
	return regexp.MustCompile(`^\.?` + regexp.QuoteMeta(master) + `-\d{8}T\d{6}\.\d{9}Z-[a-z]+-\d+\.json(\.[A-Z0-9]+)?$`)
}

// textOf is what a file says: the incident as programs get it, but for how long ago it
// was.
func textOf(master string, one incidents.Incident) []byte {
	text, err := json.MarshalIndent(struct {
		Name string `json:"name"` // of the master
		control.Incident
		AgoSeconds *float64 `json:"ago_seconds,omitempty"`
	}{Name: master, Incident: one.Answer(one.At)}, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(text, '\n')
}

// write writes a file, which has its name when it is whole. What has that name already
// is replaced, be it a link.
func (f folder) write(name string, text []byte) error {
	draft := "." + name + "." + rand.Text()
	fd, err := unix.Openat(f.fd(), draft, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return failed("create a file in", f.dir.Name(), err)
	}
	file := os.NewFile(uintptr(fd), draft)
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = failed("name a file in", f.dir.Name(), unix.Renameat(f.fd(), draft, f.fd(), name))
	}
	if err != nil {
		_ = unix.Unlinkat(f.fd(), draft, 0) // what matters is what went wrong before
	}
	return err
}

// prune removes the oldest files of a master where it has more than it may.
func (f folder) prune(master string, most int) error {
	names, err := f.dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	is := ofMaster(master)
	names = slices.DeleteFunc(names, func(name string) bool { return !is.MatchString(name) })
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.TrimPrefix(a, "."), strings.TrimPrefix(b, ".")) })
	for _, name := range names[:max(len(names)-most, 0)] {
		if err := unix.Unlinkat(f.fd(), name, 0); err != nil && err != unix.ENOENT {
			return failed("remove a file in", f.dir.Name(), err)
		}
	}
	return nil
}

func failed(what, path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot %s %s: %w", what, path, err)
}
