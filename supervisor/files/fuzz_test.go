//go:build linux

package files

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testTimeout is the absurd cap on opening a file.
const testTimeout = 20 * time.Second

// What others may do in a world, as the kernel lets them: an attack is its kind, who does
// it, and two places.
const (
	attackSymlink = iota
	attackLink
	attackRename
	attackFolder
	attackFile
	attackFIFO
	attackSocket
	attackOpenUp // chmod 0777
	attackRemove
	attackLinkVault // a second name for the secret, as without fs.protected_hardlinks
	attacks
)

// Where things can be in a world, and where links can lead: relative to the folder of
// the link.
var (
	fuzzFolders = []string{".", "theirs", "theirs/ours", "tmp", "anybody", "anybody/ours", "group", "anybody's", "theirs/x", "tmp/x", "anybody/x"}
	fuzzNames   = []string{"x", "y", "tool", "new"}
	fuzzTargets = []string{
		"../vault/secret", "../vault/new", "../vault", "..", "../..", ".", "x", "y", "../mine", "../theirs", "../tmp/x", "../../vault/secret", "../theirs/ours/../../vault/secret", "tool",
		"/proc/self/fd", "/proc/self/root", "/dev/tty",
	}
)

// fuzzPlace is a path in the world.
func fuzzPlace(b byte) string {
	return filepath.Join(fuzzFolders[int(b>>2)%len(fuzzFolders)], fuzzNames[b&3])
}

// whileOther runs f as somebody else, as far as files are concerned.
func whileOther(user int, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	gid, _ := unix.SetfsgidRetGid(user)
	defer unix.SetfsgidRetGid(gid)
	uid, _ := unix.SetfsuidRetUid(user)
	defer unix.SetfsuidRetUid(uid)
	f()
}

// attack makes an attack, which may fail.
func (w world) attack(kind, who, from, to byte) {
	user := []int{other, third}[who%2]
	old, place := w.path(fuzzPlace(from)), w.path(fuzzPlace(to))
	free := false
	whileOther(user, func() {
		switch kind % attacks {
		case attackSymlink:
			_ = os.Symlink(fuzzTargets[int(from)%len(fuzzTargets)], place)
		case attackLink:
			_ = unix.Linkat(unix.AT_FDCWD, old, unix.AT_FDCWD, place, 0)
		case attackRename:
			_ = unix.Rename(old, place)
		case attackFolder:
			_ = unix.Mkdir(place, 0o777)
		case attackFile:
			// Without a reader a named pipe would have it wait.
			if fd, err := unix.Open(place, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|always, 0o755); err == nil {
				unix.Close(fd)
			}
		case attackFIFO:
			_ = unix.Mkfifo(place, 0o666)
		case attackSocket:
			_ = unix.Mknod(place, unix.S_IFSOCK|0o666, 0)
		case attackOpenUp:
			_ = unix.Chmod(place, 0o777)
		case attackRemove:
			_ = os.Remove(place)
		case attackLinkVault:
			free = unix.Mkfifo(place, 0o666) == nil && unix.Unlink(place) == nil
		}
	})
	if free {
		w.must(unix.Linkat(unix.AT_FDCWD, w.path("vault/secret"), unix.AT_FDCWD, place, 0))
	}
}

// may says whether somebody else may open a file that this process has open.
func may(flags, fd int) (able bool) {
	for _, user := range []int{other, third} {
		whileOther(user, func() {
			again, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), flags|always, 0)
			if err == nil {
				unix.Close(again)
				able = true
			}
		})
	}
	return able
}

// movable says whether somebody else can put something else at a path in the world.
func (w world) movable(path string) (able bool) {
	for ; path != w.dir && path != "/" && path != "."; path = filepath.Dir(path) {
		for _, user := range []int{other, third} {
			whileOther(user, func() {
				if unix.Rename(path, path+".moved") == nil {
					able = true
				}
			})
			if able {
				return true
			}
		}
	}
	return false
}

// openAll opens a path in all ways and sees that nobody is led astray by it.
func (w world) openAll(path string) {
	w.t.Helper()
	look := func(what string, fd int) (stat unix.Stat_t) {
		w.must(unix.Fstat(fd, &stat))
		var secret unix.Stat_t
		w.must(unix.Stat(w.path("vault/secret"), &secret))
		if stat.Ino == secret.Ino && stat.Dev == secret.Dev {
			w.t.Errorf("%s of %s opens the secret", what, path)
		}
		return stat
	}
	if f, err := OpenInput(path); err == nil {
		look("OpenInput", int(f.Fd()))
		f.Close()
	}
	if fd, err := OpenLog(path); err == nil {
		if stat := look("OpenLog", fd); stat.Mode&unix.S_IFMT == unix.S_IFSOCK || stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			w.t.Errorf("OpenLog of %s opens a file of mode %o", path, stat.Mode)
		}
		unix.Close(fd)
	}
	if f, err := OpenPID(path); err == nil {
		stat := look("OpenPID", int(f.Fd()))
		if stat.Uid != 0 || stat.Mode&unix.S_IFMT != unix.S_IFREG || may(unix.O_WRONLY, int(f.Fd())) {
			w.t.Errorf("OpenPID of %s opens a file of user %d, mode %o", path, stat.Uid, stat.Mode)
		}
		f.Close()
	}
	if f, resolved, err := OpenProgram(path); err == nil {
		stat := look("OpenProgram", int(f.Fd()))
		if stat.Uid != 0 || may(unix.O_WRONLY, int(f.Fd())) || w.movable(resolved) {
			w.t.Errorf("OpenProgram of %s opens %s of user %d, mode %o, which others may change", path, resolved, stat.Uid, stat.Mode)
		}
		f.Close()
	}
}

// Whatever others do in folders where they may write, root opens nothing by a path
// through them that is not for them to give, and nothing that he opens keeps him
// waiting.
func FuzzOpen(f *testing.F) {
	if _, err := os.Stat("/dev/shm"); err == nil {
		f.Setenv("TMPDIR", "/dev/shm") // a disk is a hundred times as slow
	}
	place := func(folder, name int) byte { return byte(folder<<2 | name) }
	for _, seed := range [][]byte{
		{},
		{attackSymlink, 0, 0, place(1, 0)},
		{attackSymlink, 0, 2, place(3, 0), attackSymlink, 1, 5, place(3, 1)},
		{attackSymlink, 1, 2, place(4, 0), attackOpenUp, 0, 0, place(4, 0)},
		{attackLinkVault, 0, 0, place(1, 1), attackRename, 0, place(1, 1), place(4, 1)},
		{attackFIFO, 0, 0, place(1, 0), attackSocket, 1, 0, place(3, 0)},
		{attackFolder, 0, 0, place(1, 0), attackSymlink, 0, 11, place(8, 1), attackOpenUp, 0, 0, place(1, 0)},
		{attackRename, 0, place(4, 2), place(4, 1), attackFile, 0, 0, place(4, 2)},
		{attackSymlink, 0, 16, place(7, 0), attackSymlink, 0, 14, place(4, 0), attackSymlink, 0, 15, place(1, 1)},
		{attackRename, 0, place(1, 2), place(4, 3), attackLink, 1, place(4, 3), place(3, 0)},
		{attackFIFO, 0, 0, place(1, 0), attackFile, 0, 0, place(1, 0)},
	} {
		for i := range len(fuzzFolders) * len(fuzzNames) {
			f.Add(seed, byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, program []byte, path byte) {
		w := newWorld(t)
		waiting := time.AfterFunc(testTimeout, func() { panic("it waits for somebody") })
		defer waiting.Stop()
		w.must(os.Chmod(filepath.Dir(w.dir), 0o755)) // the others may enter
		w.folder("vault", 0, 0o700)
		w.file("vault/secret", 0, 0o600)
		w.folder("anybody/ours", 0, 0o755)
		for _, folder := range fuzzFolders[:8] {
			w.file(filepath.Join(folder, "tool"), 0, 0o755)
		}
		const most = 16 // attacks
		for n := 0; len(program) >= 4 && n < most; n, program = n+1, program[4:] {
			w.attack(program[0], program[1], program[2], program[3])
		}
		w.openAll(w.path(fuzzPlace(path)))
		w.openAll(w.path(filepath.Join(fuzzPlace(path), "secret")))
		if kept, err := os.ReadDir(w.path("vault")); err != nil || len(kept) != 1 {
			t.Errorf("root has made files where nobody else can: %v, %v", kept, err)
		}
	})
}
