//go:build linux

package process

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Credential is the user a worker runs as.
type Credential struct {
	Uid, Gid uint32
	Groups   []uint32 // supplementary groups; nil for none
}

// LookupCredential turns the names or numeric ids of a user and a group, either
// of which may be "", into what a worker runs as, and the environment entries
// HOME, USER and LOGNAME of a user that was given.
//
// The groups are those of initgroups(3): the user's, and the group given or
// else the user's own. With a group alone the user stays, and the group is the
// only one. A name wins over a number. A number need not be in any file: such a
// user has the home folder /, its number as a name and as its group.
//
// The credential is nil if there is nothing to change: nothing was given, or
// the master is that user already and not the one who could change it.
func LookupCredential(userName, groupName string) (cred *Credential, env []string, err error) {
	if userName == "" && groupName == "" {
		return nil, nil, nil
	}
	c := Credential{Uid: uint32(os.Getuid())}
	var u *user.User
	if userName != "" {
		if u, err = lookupUser(userName); err != nil {
			return nil, nil, err
		}
		if c.Uid, err = parseID(u.Uid); err != nil {
			return nil, nil, fmt.Errorf("cannot use user %q: %w", userName, err)
		}
		env = []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username}
	}
	gid := ""
	if groupName != "" {
		if gid, err = lookupGroup(groupName); err != nil {
			return nil, nil, err
		}
	} else {
		gid = u.Gid
	}
	if c.Gid, err = parseID(gid); err != nil {
		return nil, nil, fmt.Errorf("cannot use group %q: %w", gid, err)
	}
	if os.Geteuid() != 0 && int(c.Uid) == os.Geteuid() && int(c.Gid) == os.Getegid() {
		return nil, env, nil
	}
	c.Groups = []uint32{c.Gid}
	if u != nil {
		// GroupIds starts from the primary group it is told, as initgroups does.
		member := *u
		member.Gid = gid
		ids, err := member.GroupIds()
		if err != nil && !noDatabase(err) {
			return nil, nil, fmt.Errorf("cannot find the groups of user %q: %w", userName, err)
		}
		for _, s := range ids {
			if id, err := parseID(s); err == nil && id != c.Gid {
				c.Groups = append(c.Groups, id)
			}
		}
	}
	return &c, env, nil
}

// Permitted says what this process lacks to start a worker that is that user; nil is the
// user that it is itself.
func (c *Credential) Permitted() error {
	if c == nil {
		return nil
	}
	needs := map[string]int{"CAP_SETGID": unix.CAP_SETGID}
	if int(c.Uid) != os.Geteuid() {
		needs["CAP_SETUID"], needs["CAP_CHOWN"] = unix.CAP_SETUID, unix.CAP_CHOWN
	}
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if !capable(needs[name]) {
			return fmt.Errorf("needs a master that is root: this process has no %s", name)
		}
	}
	return nil
}

func lookupUser(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return u, nil
	}
	if _, bad := parseID(name); bad != nil {
		if _, unknown := errors.AsType[user.UnknownUserError](err); unknown {
			return nil, fmt.Errorf("there is no user %q", name)
		}
		return nil, fmt.Errorf("cannot find user %q: %w", name, err)
	}
	if u, err := user.LookupId(name); err == nil {
		return u, nil
	}
	return &user.User{Uid: name, Gid: name, Username: name, HomeDir: "/"}, nil
}

func lookupGroup(name string) (gid string, err error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return g.Gid, nil
	}
	if _, bad := parseID(name); bad != nil {
		return "", fmt.Errorf("cannot find group %q: %w", name, err)
	}
	return name, nil
}

// parseID refuses the highest number: as an id it is (uid_t)-1, which tells
// setresuid(2) to change nothing, so the worker would go on as root.
func parseID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil || id == 1<<32-1 {
		return 0, fmt.Errorf("%q is not a valid id", s)
	}
	return uint32(id), nil
}

// noDatabase reports that there is no /etc/passwd or /etc/group, as in an image
// built from scratch.
func noDatabase(err error) bool { return errors.Is(err, os.ErrNotExist) }

// Conceal closes this process to others of its user, workers among them, unless they
// have CAP_SYS_PTRACE: they can neither trace it nor read its memory or environment,
// nor take its descriptors (prctl(2), PR_SET_DUMPABLE, and ptrace(2), "Ptrace access
// mode checking"). The price is that it leaves no core file, and that its files in
// /proc are root's: what all may read there all still may, and a process its own
// /proc/self/fd and /proc/self/exe, but not /proc/self/environ.
//
// An exec opens it again, as the workers' does, who are to leave core files and to be
// looked at. Package shim closes it first of all in the next image of a master; up to
// there, for about a millisecond, that one is open.
func Conceal() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot close this process to others: %w", err)
	}
	return nil
}
