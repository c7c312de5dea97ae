package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
)

// Home is where the automatic control sockets of one user are. The address of a
// socket is a path, or "@" and a name in the abstract namespace of unix(7).
type Home struct {
	UID int
	// Dir is the folder of the sockets, which need not exist; "": there is none.
	Dir string
}

// RootDir is the folder of root's control sockets.
const RootDir = "/run/gosuper"

// HomeOf is the home of the user of this process: [RootDir] for root, else
// gosuper in the XDG_RUNTIME_DIR of the environment.
func HomeOf(environ []string) Home {
	h := Home{UID: os.Geteuid()}
	if h.UID == 0 {
		h.Dir = RootDir
		return h
	}
	for _, entry := range environ {
		if dir, ok := strings.CutPrefix(entry, "XDG_RUNTIME_DIR="); ok && filepath.IsAbs(dir) {
			h.Dir = filepath.Join(dir, "gosuper")
		}
	}
	return h
}

// extension is that of the automatic sockets.
const extension = ".sock"

// Addresses are where the socket of a master of this name may be, the best
// first. The second is for where the first cannot be created.
func (h Home) Addresses(name string) []string {
	abstract := h.abstract() + name
	if h.Dir == "" {
		return []string{abstract}
	}
	return []string{filepath.Join(h.Dir, name+extension), abstract}
}

// abstract is how the user's abstract addresses begin.
func (h Home) abstract() string { return "@gosuper/" + strconv.Itoa(h.UID) + "/" }

// MakeDir makes the folder, and refuses one in which somebody else could put a
// socket of his own: that would be talked to.
func (h Home) MakeDir() error {
	mode := fs.FileMode(0o700)
	if h.UID == 0 {
		mode = 0o755 // so that others can be told who runs a master
	}
	if err := os.Mkdir(h.Dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(h.Dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != h.UID || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a folder that only user %d can write to", h.Dir, h.UID)
	}
	return nil
}

// Client makes a client of an address in this home. It believes nobody but the
// user of the home: every user can listen at every address that is abstract. At a
// path root believes whoever was let into root's folder, such as a service that
// has it as its RuntimeDirectory.
func (h Home) Client(address string) *Client { return newClient(address, h.owner(address)) }

// owner is the user who has to listen at an address in this home.
func (h Home) owner(address string) int {
	if h.UID == 0 && address[0] != '@' {
		return anybody
	}
	return h.UID
}

// Serves says whether a master of the user listens at an address in this home.
// At a path it may be one that this process must not connect to.
func (h Home) Serves(ctx context.Context, address string) bool {
	err := probe(ctx, address, h.owner(address))
	if _, other := errors.AsType[foreign](err); other {
		return false
	}
	return err == nil || address[0] != '@' && !absent(err)
}

// Find returns the addresses in this home at which a master of its user listens.
func (h Home) Find(ctx context.Context) []string {
	var found []string
	if h.Dir != "" {
		paths, _ := filepath.Glob(filepath.Join(escape(h.Dir), "*"+extension)) // the pattern is a good one
		found = paths
	}
	found = append(found, h.findAbstract("/proc/net/unix")...)
	return slices.DeleteFunc(found, func(address string) bool {
		return !h.Serves(ctx, address)
	})
}

// escape makes a pattern of a path.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// findAbstract looks for the user's addresses in a table like /proc/net/unix,
// whose last column is the address. Where there is none, nothing is found.
func (h Home) findAbstract(table string) (found []string) {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		_, name, ok := strings.Cut(lines.Text(), " "+h.abstract())
		if address := h.abstract() + name; ok && possible(name) && !slices.Contains(found, address) { // connections have it too
			found = append(found, address)
		}
	}
	return found
}

// maxName is the length of the longest name of a master, in bytes.
const maxName = 64

// possible says whether a master may have this name.
func possible(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName &&
		!strings.ContainsRune(name, '/') && !strings.ContainsFunc(name, unicode.IsControl)
}
