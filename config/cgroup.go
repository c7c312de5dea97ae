package config

import (
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// leastAuto is the number of workers that "auto" gives at least: with one, every
// crash and every replacement would leave nobody.
const leastAuto = 2

// AutoWorkers returns the number of workers that "auto" means on this machine,
// and why: the smallest CPU quota of the own cgroup and all its ancestors that
// can be seen from here, rounded up, at least 2. The number of cores is never
// looked at, which in a container is that of the host.
//
// root is the file system of the machine, os.DirFS("/"). It knows cgroups v1,
// v2, and both at once, with and without a namespace (cgroups(7),
// cgroup_namespaces(7)). Whatever cannot be read sets no quota.
func AutoWorkers(root fs.FS) (n int, why string) {
	quota, at := cpuQuota(root)
	if math.IsInf(quota, 1) {
		return leastAuto, fmt.Sprintf("no CPU quota: %d; set workers to the number you want", leastAuto)
	}
	n = int(min(math.Ceil(quota), MaxWorkers))
	shown := strconv.FormatFloat(math.Round(quota*100)/100, 'f', -1, 64)
	return max(n, leastAuto), fmt.Sprintf("the CPU quota is %s (%s)", shown, at)
}

// cpuQuota returns the smallest quota, in CPUs, and the folder of its cgroup;
// +Inf if there is none.
func cpuQuota(root fs.FS) (quota float64, at string) {
	quota = math.Inf(1)
	mounts := cgroupMounts(root)
	for _, own := range ownCgroups(root) {
		for _, dir := range own.folders(mounts) {
			q, ok := readQuota(root, dir, own.v2)
			if ok && q < quota {
				quota, at = q, dir
			}
		}
	}
	return quota, at
}

// ownCgroup is the place of this process in one hierarchy that can limit CPU.
type ownCgroup struct {
	v2   bool
	path string
}

// ownCgroups reads /proc/self/cgroup: "4:cpu,cpuacct:/path", and "0::/path" for
// version 2.
func ownCgroups(root fs.FS) []ownCgroup {
	var own []ownCgroup
	for line := range lines(root, "proc/self/cgroup") {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 {
			continue
		}
		switch controllers := strings.Split(fields[1], ","); {
		case fields[0] == "0" && fields[1] == "":
			own = append(own, ownCgroup{v2: true, path: fields[2]})
		case slices.Contains(controllers, "cpu"):
			own = append(own, ownCgroup{path: fields[2]})
		}
	}
	return own
}

// cgroupMount is a mounted hierarchy that can limit CPU.
type cgroupMount struct {
	v2 bool
	// root is the cgroup that is seen at dir, named as in /proc/self/cgroup.
	root, dir string
}

// cgroupMounts reads /proc/self/mountinfo (proc_pid_mountinfo(5)):
// "32 31 0:29 ROOT DIR OPTIONS [FIELDS...] - TYPE SOURCE SUPEROPTIONS".
func cgroupMounts(root fs.FS) []cgroupMount {
	var mounts []cgroupMount
	for line := range lines(root, "proc/self/mountinfo") {
		head, tail, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(head), strings.Fields(tail)
		if !ok || len(left) < 6 || len(right) < 3 {
			continue
		}
		v2 := right[0] == "cgroup2"
		if v2 || right[0] == "cgroup" && slices.Contains(strings.Split(right[2], ","), "cpu") {
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

// readQuota reads the quota of one cgroup, in CPUs.
func readQuota(root fs.FS, dir string, v2 bool) (float64, bool) {
	var fields []string
	if v2 {
		fields = strings.Fields(contents(root, path.Join(dir, "cpu.max")))
	} else {
		fields = append(strings.Fields(contents(root, path.Join(dir, "cpu.cfs_quota_us"))),
			strings.Fields(contents(root, path.Join(dir, "cpu.cfs_period_us")))...)
	}
	if len(fields) != 2 {
		return 0, false
	}
	// "max" and -1 mean that there is none.
	quota, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || quota <= 0 {
		return 0, false
	}
	period, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil || period <= 0 {
		return 0, false
	}
	return float64(quota) / float64(period), true
}

// contents returns a file of the machine, or "" if it cannot be read.
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
