package filewatch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Change says that a file was written, made, moved or removed.
type Change struct {
	Path string    // absolute
	At   time.Time // when this was last noticed
	New  bool      // it was not there before
}

// An Error says what cannot be watched and what to do about it.
type Error struct {
	Err  error
	Hint string // may be ""
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Watcher watches files. Its methods may be called from any goroutine.
type Watcher struct {
	options Options
	kernel  *fsnotify.Watcher
	changes chan []Change
	ended   chan struct{} // closed when run has returned

	// What follows belongs to run, and before that to Open.
	except  []string        // files of which nothing is to be heard, symlinks resolved
	roots   []string        // folders watched with all below them, symlinks resolved
	single  map[string]bool // files that are watched by their folder
	known   map[string]bool // files there were
	pending map[string]Change
	first   time.Time // when the oldest pending change came
}

// Open starts to watch. The error is an *[Error].
func Open(o Options) (*Watcher, error) {
	if o.Quiet == 0 {
		o.Quiet = 150 * time.Millisecond
	}
	if o.Most == 0 {
		o.Most = 2 * time.Second
	}
	kernel, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, explain("files", err)
	}
	w := &Watcher{
		options: o, kernel: kernel, changes: make(chan []Change), ended: make(chan struct{}),
		single: map[string]bool{}, known: map[string]bool{}, pending: map[string]Change{},
	}
	for _, path := range o.Except {
		w.except = append(w.except, asSeen(path))
	}
	for _, path := range o.Paths {
		if err := w.addRoot(path); err != nil {
			kernel.Close()
			return nil, err
		}
	}
	go w.run()
	return w, nil
}

// Changes returns the channel of batches, which are ordered by path. It is never
// closed. What changes while nobody receives is delivered in one batch.
func (w *Watcher) Changes() <-chan []Change { return w.changes }

// Folders returns how many folders are watched.
func (w *Watcher) Folders() int { return len(w.kernel.WatchList()) }

// Close ends it.
func (w *Watcher) Close() error {
	err := w.kernel.Close()
	<-w.ended
	return err
}

// asSeen is the path of a file as events name it: without symlinks on the way to
// it, and without being one itself if it exists.
func asSeen(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return path
	}
	return filepath.Join(folder, filepath.Base(path))
}

// addRoot watches one of the paths.
func (w *Watcher) addRoot(path string) error {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return explain(path, err)
	}
	info, err := os.Stat(resolved)
	if err != nil {
		return explain(path, err)
	}
	if info.IsDir() {
		w.roots = append(w.roots, resolved)
		return w.addTree(resolved, func(string) {})
	}
	// Editors replace a file by another one of its name, so it is watched by its
	// folder.
	w.single[resolved], w.known[resolved] = true, true
	if err := w.kernel.Add(filepath.Dir(resolved)); err != nil {
		return explain(filepath.Dir(resolved), err)
	}
	return nil
}

// addTree watches a folder with all below it, and calls found with each file
// in it that was not known. The folder is watched before it is read, so nothing
// is missed.
func (w *Watcher) addTree(folder string, found func(path string)) error {
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone again
		}
		if err != nil {
			return explain(path, err)
		}
		if !entry.IsDir() {
			if w.options.counts(entry.Name()) && !w.known[path] {
				found(path)
				w.known[path] = true
			}
			return nil
		}
		if path != folder && Ignored(entry.Name(), true) || !slices.Contains(w.roots, path) && marked(path) {
			return fs.SkipDir
		}
		if err := w.kernel.Add(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return explain(path, err)
		}
		return nil
	})
}

// run collects what happens and delivers it.
func (w *Watcher) run() {
	defer close(w.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var out chan []Change // nil: nothing is to be delivered yet
	var batch []Change
	for {
		select {
		case e, open := <-w.kernel.Events:
			if !open {
				return
			}
			w.note(e)
		case err, open := <-w.kernel.Errors:
			if !open {
				return
			}
			w.fail(err)
		case <-timer.C:
			if batch = w.batch(); len(batch) > 0 {
				out = w.changes
			}
			continue
		case out <- batch:
			clear(w.pending)
		}
		out = nil
		if len(w.pending) > 0 {
			timer.Reset(min(w.options.Quiet, max(0, time.Until(w.first.Add(w.options.Most)))))
		}
	}
}

// batch is what is pending, but for files that came and went: tools write to one
// and give it the name of another.
func (w *Watcher) batch() []Change {
	var all []Change
	for path, c := range w.pending {
		if _, err := os.Lstat(path); c.New && errors.Is(err, fs.ErrNotExist) {
			delete(w.pending, path)
			continue
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// note takes note of one event.
func (w *Watcher) note(e fsnotify.Event) {
	name := filepath.Base(e.Name)
	if !w.within(e.Name) || slices.Contains(w.except, e.Name) {
		return
	}
	if e.Has(fsnotify.Create) {
		info, err := os.Lstat(e.Name)
		if err == nil && info.IsDir() {
			if Ignored(name, true) {
				return
			}
			if err := w.addTree(e.Name, w.change); err != nil {
				w.options.Complain(err)
			}
			return
		}
	}
	if folder := filepath.Dir(e.Name); slices.Contains(markers, name) && !slices.Contains(w.roots, folder) {
		w.drop(folder)
		return
	}
	if e.Has(fsnotify.Create) || e.Has(fsnotify.Write) || e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
		if w.options.counts(name) {
			w.change(e.Name)
		}
	}
}

// change notes that a file changed. One that was removed stays known: what comes
// back under its name is not new.
func (w *Watcher) change(path string) {
	now := time.Now()
	if len(w.pending) == 0 {
		w.first = now
	}
	before, seen := w.pending[path]
	w.pending[path] = Change{Path: path, At: now, New: seen && before.New || !w.known[path]}
	w.known[path] = true
}

// within says whether a path is one of those asked for.
func (w *Watcher) within(path string) bool {
	return w.single[path] || slices.ContainsFunc(w.roots, func(root string) bool {
		return strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/")
	})
}

// drop stops watching a folder that turned out to be a tool's.
func (w *Watcher) drop(folder string) {
	below := func(path string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }
	for _, path := range w.kernel.WatchList() {
		if below(path) {
			// It may be gone already, which is as good.
			_ = w.kernel.Remove(path)
		}
	}
	for path := range w.pending {
		if below(path) {
			delete(w.pending, path)
		}
	}
}

// fail handles what the kernel could not deliver. Where events were lost nobody
// knows what changed, so something did.
func (w *Watcher) fail(err error) {
	if errors.Is(err, fsnotify.ErrEventOverflow) {
		for _, path := range w.options.Paths {
			w.change(path)
		}
		return
	}
	w.options.Complain(explain("files", err))
}

// explain makes an error that says what to do about it where that is known.
func explain(what string, err error) *Error {
	e := &Error{Err: fmt.Errorf("cannot watch %s: %w", what, err)}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		e.Err = fmt.Errorf("cannot watch %s: all %swatches for files are in use", what, limit("max_user_watches"))
		e.Hint = "raise it: sysctl fs.inotify.max_user_watches=524288; or name fewer folders in watch.paths"
	case errors.Is(err, syscall.EMFILE):
		e.Err = fmt.Errorf("cannot watch %s: all %swatchers of this user are in use, or all of its file descriptors", what, limit("max_user_instances"))
		e.Hint = "end other watchers, or raise it: sysctl fs.inotify.max_user_instances=512"
	}
	return e
}

// limit is the value of a limit of inotify(7) with a blank behind it, or "".
func limit(name string) string {
	text, err := os.ReadFile("/proc/sys/fs/inotify/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text)) + " "
}
