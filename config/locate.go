package config

import (
	"path/filepath"
	"slices"
	"strings"
)

// Location is where a running master can be asked.
type Location struct {
	// Name is that of the master; "" if nothing says it, nor the command.
	Name string
	// Socket is the control socket, as in [Control].
	Socket string
	// Admin is the address of the admin listener, as in [Admin].
	Admin string
}

// Locate returns where a master of the source can be asked, whatever mistakes
// there are in other keys: whoever asks may be about to mend them. The error is
// an *[Errors] about these keys or the file as a whole, unless the current
// folder cannot be found out.
func Locate(source Source) (Location, error) {
	l, err := newLoader(source)
	if err != nil {
		return Location{}, err
	}
	l.readLayers()
	var errs Errors
	for _, e := range l.errs.List {
		if l.fileFailed || slices.Contains([]string{"name", "chdir", "control.socket", "admin.bind"}, e.Key) {
			errs.add(e)
		}
	}
	if len(errs.List) > 0 {
		return Location{}, &errs
	}
	c := l.config
	if c.Name == "" && len(c.Command) > 0 {
		c.Name = nameOf(c.Command[0])
	}
	if c.Chdir != "" && !filepath.IsAbs(c.Chdir) {
		c.Chdir = filepath.Join(c.Dir, c.Chdir)
	}
	at := Location{Name: c.Name, Socket: c.Control.Socket, Admin: c.Admin.Bind}
	if at.Socket != "auto" && at.Socket != "off" {
		at.Socket = c.absolute(at.Socket)
	}
	if path, ok := strings.CutPrefix(at.Admin, "unix:"); ok {
		at.Admin = "unix:" + c.absolute(path)
	}
	return at, nil
}
