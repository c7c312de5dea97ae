package config

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// ownCgroup is the place of this process in one hierarchy.
type ownCgroup struct {
	v2   bool
	path string
}

// ownFolders returns, for each hierarchy in which the controller ("cpu",
// "memory") can be, the folder of the own cgroup and those of its visible
// ancestors, in this order. It knows cgroups v1, v2, and both at once, with and
// without a namespace (cgroups(7), cgroup_namespaces(7)).
func ownFolders(root fs.FS, controller string) (all []cgroupFolders) {
	mounts := cgroupMounts(root, controller)
	for _, own := range ownCgroups(root, controller) {
		all = append(all, cgroupFolders{own.v2, own.folders(mounts)})
	}
	return all
}

// cgroupFolders are those of one hierarchy.
type cgroupFolders struct {
	v2   bool
	dirs []string
}

// ownCgroups reads /proc/self/cgroup: "4:cpu,cpuacct:/path", and "0::/path" for
// version 2.
func ownCgroups(root fs.FS, controller string) []ownCgroup {
	var own []ownCgroup
	for line := range lines(root, "proc/self/cgroup") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 {
			continue
		}
		switch controllers := strings.Split(fields[1], ","); {
		case fields[0] == "0" && fields[1] == "":
			own = append(own, ownCgroup{v2: true, path: fields[2]})
		case slices.Contains(controllers, controller):
			own = append(own, ownCgroup{path: fields[2]})
		}
	}
	return own
}

// cgroupMount is a mounted hierarchy.
type cgroupMount struct {
	v2 bool
	// root is the cgroup that is seen at dir, named as in /proc/self/cgroup.
	root, dir string
}

// cgroupMounts reads /proc/self/mountinfo (proc_pid_mountinfo(5)):
// "32 31 0:29 ROOT DIR OPTIONS [FIELDS...] - TYPE SOURCE SUPEROPTIONS".
func cgroupMounts(root fs.FS, controller string) []cgroupMount {
	var mounts []cgroupMount
	for line := range lines(root, "proc/self/mountinfo") {
		head, tail, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(head), strings.Fields(tail)
		if !ok || len(left) < 6 || len(right) < 3 {
			continue
		}
		v2 := right[0] == "cgroup2"
		if v2 || right[0] == "cgroup" && slices.Contains(strings.Split(right[2], ","), controller) {
			mounts = append(mounts, cgroupMount{v2, unoctal(left[3]), unoctal(left[4])})
		}
	}
	return mounts
}

// folders returns the folders of the own cgroup and of its visible ancestors.
func (own ownCgroup) folders(mounts []cgroupMount) []string {
	var dirs, tops []string
	for _, m := range mounts {
		if m.v2 != own.v2 {
			continue
		}
		tops = append(tops, m.dir)
		below, ok := below(own.path, m.root)
		if !ok {
			continue
		}
		for ; ; below = path.Dir(below) {
			dirs = append(dirs, path.Join(m.dir, below))
			if below == "/" {
				break
			}
		}
	}
	if len(dirs) == 0 {
		// The path is named from outside of what is mounted here, as in a
		// container that has its own mount but not its own namespace. Then the
		// mount shows the container's cgroup, or at least an ancestor.
		return tops
	}
	return dirs
}

// below returns cgroup as seen from its ancestor, with a slash in front.
func below(cgroup, ancestor string) (string, bool) {
	// "/../x" is outside of the namespace, where no mount can be compared.
	if strings.HasPrefix(cgroup, "/..") {
		return "", false
	}
	if ancestor == "/" {
		return path.Clean("/" + cgroup), true
	}
	rest, ok := strings.CutPrefix(cgroup, ancestor)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return path.Clean("/" + rest), true
}

// contents returns a file of the machine, or "" if it cannot be read. Only those are
// asked for that the kernel makes of what it has in memory, proc(5) and cgroups(7): no disk
// or server keeps the reader waiting, though who changes cgroups or mounts may.
func contents(root fs.FS, name string) string {
	data, err := fs.ReadFile(root, strings.TrimPrefix(name, "/"))
	if err != nil {
		return ""
	}
	return string(data)
}

// lines returns the lines of a file of the machine.
func lines(root fs.FS, name string) func(yield func(string) bool) {
	return strings.SplitSeq(strings.TrimSpace(contents(root, name)), "\n")
}

// unoctal undoes the escapes of mountinfo, such as \040 for a blank.
func unoctal(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
