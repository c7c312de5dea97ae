//go:build linux

package control

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
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

// Spare is one more address for a master of this name, and another one at each
// call: for where those that everybody can tell are taken, by a master of the same
// name, of another container perhaps, or by anybody, as every user can listen at
// every address that is abstract. Whoever looks for the name finds it all the same.
func (h Home) Spare(name string) string {
	return h.abstract() + name + "/" + strings.ToLower(rand.Text()[:8])
}

// abstract is how the user's abstract addresses begin. After it come the name of
// the master and, behind a slash, what makes the address another one than that of
// the name.
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
// user of the home, and nobody outside of the pid namespace of this process. At a
// path root believes whoever was let into root's folder, such as a service that
// has it as its RuntimeDirectory.
func (h Home) Client(address string) *Client { return newClient(address, h.trust(address)) }

// trust is who may be talked to at an address in this home.
func (h Home) trust(address string) trust {
	if h.UID == 0 && address[0] != '@' {
		return trust{owner: anybody, near: true}
	}
	return trust{owner: h.UID, near: true}
}

// Found is a master that listens at an address of a home.
type Found struct {
	Name    string // as the address says it
	Address string
	PID     int // 0: not known, as this process must not connect to it
}

// Find returns the masters of the user of this home: those here, in the pid
// namespace of this process, and the addresses of those elsewhere, which
// commands do not mean unless they are told the address. Both are in the order
// of their names.
func (h Home) Find(ctx context.Context) (here []Found, elsewhere []string) {
	return h.living(ctx, h.addresses())
}

// FindNamed is Find for the masters of one name.
func (h Home) FindNamed(ctx context.Context, name string) (here []Found, elsewhere []string) {
	addresses := slices.DeleteFunc(h.addresses(), func(address string) bool { return h.nameAt(address) != name })
	return h.living(ctx, append(addresses, h.Addresses(name)...)) // which are no secret where /proc is not mounted
}

// addresses are those in this home at which there is something.
func (h Home) addresses() []string {
	var found []string
	if h.Dir != "" {
		found, _ = filepath.Glob(filepath.Join(escape(h.Dir), "*"+extension)) // the pattern is a good one
	}
	return append(found, h.findAbstract("/proc/net/unix")...)
}

// living sorts out at which addresses there are masters.
func (h Home) living(ctx context.Context, addresses []string) (here []Found, elsewhere []string) {
	slices.SortFunc(addresses, func(a, b string) int {
		return cmp.Or(cmp.Compare(h.nameAt(a), h.nameAt(b)), cmp.Compare(a, b))
	})
	for _, address := range slices.Compact(addresses) {
		p, err := probe(ctx, address, h.trust(address))
		_, other := errors.AsType[foreign](err)
		switch {
		case errors.Is(err, errElsewhere):
			elsewhere = append(elsewhere, address)
		case other:
		case err == nil && p.pid > 0 && slices.ContainsFunc(here, func(f Found) bool { return f.PID == p.pid }):
			// It is about to move from one to the other.
		case err == nil, address[0] != '@' && !absent(err):
			here = append(here, Found{Name: h.nameAt(address), Address: address, PID: max(p.pid, 0)})
		}
	}
	return here, elsewhere
}

// nameAt is the name of the master at an address of this home.
func (h Home) nameAt(address string) string {
	if rest, ok := strings.CutPrefix(address, h.abstract()); ok {
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	return strings.TrimSuffix(filepath.Base(address), extension)
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
		_, rest, ok := strings.Cut(lines.Text(), " "+h.abstract())
		name, other, several := strings.Cut(rest, "/")
		if address := h.abstract() + rest; ok && possible(name) && (!several || possible(other)) && !slices.Contains(found, address) { // connections have it too
			found = append(found, address)
		}
	}
	return found
}

// maxName is the length of the longest name of a master, in bytes.
const maxName = 64

// possible says whether a master may have this name, and anything may be part of
// an address.
func possible(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName &&
		!strings.ContainsRune(name, '/') && !strings.ContainsFunc(name, unicode.IsControl)
}
