//go:build linux

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const mib = 1 << 20

// roleHog keeps HOG MiB resident until its stdin ends.
func roleHog() {
	// Not from the heap, for which the race detector would take as much again.
	size := must(strconv.Atoi(os.Getenv("HOG"))) * mib
	block := must(unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS))
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	reportJSON(os.Getpid())
	must(io.Copy(io.Discard, os.Stdin))
	os.Exit(int(block[0]) - 1)
}

// hog starts a worker with so much memory, and waits until it has it.
func hog(t *testing.T, size int, cred *Credential) int {
	t.Helper()
	h := newHandshake(t)
	usedRoles.Store("hog", true)
	pid := start(t, Spec{
		Path: "/proc/self/exe", Argv: []string{"hog"}, Credential: cred,
		Env: append(roleEnviron("hog"), "HOG="+strconv.Itoa(size)), Files: []int{h.childIn, h.childOut, 2},
	})
	h.started()
	var reported int
	h.json(t, &reported)
	return pid
}

// familyTree starts a worker that has a child, a grandchild in a session of
// its own, and a process of its group whose parent has ended.
func familyTree(t *testing.T) (worker int, others []int) {
	t.Helper()
	h := newHandshake(t)
	spec := sh(`sh -c 'echo $$; read x <&3' & (sh -c 'setsid sh -c "echo \$\$; read x <&3"; :' &)
		(sh -c 'echo $$; read x <&3' & ) ; read x <&3; wait`)
	spec.Files = []int{Null, h.childOut, 2, h.childIn}
	worker = start(t, spec)
	h.started()
	for range 3 {
		pid := 0
		h.json(t, &pid)
		others = append(others, pid)
	}
	return worker, others
}

func TestTrees(t *testing.T) {
	first, others := familyTree(t)
	second := hog(t, 1, nil)
	var r procReader
	all, err := r.scan()
	if err != nil {
		t.Fatal(err)
	}
	both, err := Trees([]int{first, second})
	if err != nil {
		t.Fatal(err)
	}
	for name, trees := range map[string][]Tree{
		"children": both,
		"scan":     plant([]int{first, second}, nil, func(pid int) []int { return all[pid] }),
	} {
		if len(trees) != 2 || trees[0][0] != first || !slices.Equal(trees[1], Tree{second}) {
			t.Fatalf("%s: got %v for %d and %d", name, trees, first, second)
		}
		for _, pid := range others {
			if !slices.Contains(trees[0], pid) {
				t.Errorf("%s: process %d is missing in %v", name, pid, trees[0])
			}
		}
		for i, pid := range trees[0] {
			if slices.Contains(trees[0][:i], pid) {
				t.Errorf("%s: process %d is in %v twice", name, pid, trees[0])
			}
		}
	}
}

func TestTreeMemory(t *testing.T) {
	little, much := hog(t, 1, nil), hog(t, 61, nil)
	first, kind, err := treeMemory(little)
	if err != nil || kind != PSS {
		t.Fatal(first, kind, err)
	}
	second, kind, err := treeMemory(much)
	if err != nil || kind != PSS {
		t.Fatal(second, kind, err)
	}
	if more := int64(second-first) / mib; more < 55 || more > 65 {
		t.Errorf("60 MiB make a difference of %d MiB", more)
	}
	tree := Tree{much}
	if resident := tree.Resident(); resident < second {
		t.Errorf("resident are %d bytes, which is less than %d", resident, second)
	}
	if private, err := tree.Private(); err != nil || private < 60*mib || private > tree.Resident() {
		t.Errorf("private are %d bytes, %v", private, err)
	}
}

// The time of a process counts, and that of a child which has ended.
func TestTreeCPU(t *testing.T) {
	h := newHandshake(t)
	spec := sh(`busy() { i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; }
		busy; (busy); echo 1; read x; busy; echo 2; read x`)
	spec.Files = []int{h.childIn, h.childOut, 2}
	tree := Tree{start(t, spec)}
	h.started()
	had := func() time.Duration {
		t.Helper()
		var n int
		h.json(t, &n)
		cpu, err := tree.CPU()
		if err != nil {
			t.Fatal(err)
		}
		return cpu
	}
	two := had()
	fmt.Fprintln(h.out)
	three := had()
	// One more of the three that take equally long, as exactly as the kernel counts.
	if one := three - two; one <= 0 || two < one*13/10 || two > 6*one {
		t.Errorf("after two rounds it had %v, after three %v", two, three)
	}
	if _, err := (Tree{1 << 30}).CPU(); err == nil {
		t.Error("nobody has had time")
	}
}

// Every process of a tree counts.
func TestTreeMemoryOfAll(t *testing.T) {
	worker, others := familyTree(t)
	alone, _, err := Tree{worker}.Memory()
	if err != nil {
		t.Fatal(err)
	}
	all, kind, err := treeMemory(worker)
	if err != nil || kind != PSS {
		t.Fatal(kind, err)
	}
	for _, pid := range others {
		one, _, err := Tree{pid}.Memory()
		if err != nil {
			t.Fatal(err)
		}
		alone += one
	}
	// The shell between two of them is counted as well.
	if all < alone/2 || all > 3*alone {
		t.Errorf("all have %d bytes, and %d one by one", all, alone)
	}
}

// roleStranger reads the memory of another user's process.
func roleStranger() {
	pid := must(strconv.Atoi(os.Getenv("OF")))
	bytes, kind, err := treeMemory(pid)
	if err != nil {
		fatal(err)
	}
	private := must(Tree{pid}.Private())
	fmt.Println(kind, bytes == private, bytes/mib)
}

func TestTreeMemoryOfAnotherUser(t *testing.T) {
	needRoot(t)
	pid := hog(t, 60, &Credential{Uid: 65534, Gid: 65534})
	usedRoles.Store("stranger", true)
	text, status := outputOf(t, Spec{
		Path: "/proc/self/exe", Credential: &Credential{Uid: 65533, Gid: 65533},
		Env: append(roleEnviron("stranger"), "OF="+strconv.Itoa(pid)),
	})
	var kind MemoryKind
	var same bool
	var size int
	if _, err := fmt.Sscan(text, &kind, &same, &size); err != nil || status != (Status{}) {
		t.Fatal(text, err, status)
	}
	if kind != RSS || !same || size < 60 || size > 90 {
		t.Errorf("got %s of %d MiB, the same as private: %v", kind, size, same)
	}
}

func TestTreeMemoryOfNobody(t *testing.T) {
	pid := start(t, sh("exit 0"))
	await(t, pid)
	bytes, kind, err := treeMemory(pid)
	if err == nil || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %d bytes, %q and %v of a process that has gone", bytes, kind, err)
	}
	if private, err := (Tree{pid}).Private(); err == nil {
		t.Errorf("got %d private bytes of a process that has gone", private)
	}
}

// Processes may come and go at any moment.
func TestTreeMemoryOfVanishing(t *testing.T) {
	h := newHandshake(t)
	spec := sh(`echo ready; while :; do (:) & (: ; :); wait; done`)
	spec.Files = []int{Null, h.childOut}
	pid := start(t, spec)
	h.started()
	if got := h.line(t); got != "ready" {
		t.Fatal(got)
	}
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		bytes, kind, err := treeMemory(pid)
		if err != nil || kind != PSS || bytes == 0 || bytes > 100*mib {
			t.Fatal(bytes, kind, err)
		}
	}
}

func TestDecimal(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "17": 17, "": 0, "-1": 0, "1x": 0} {
		if n, ok := decimal([]byte(text)); n != want && ok || ok != (strings.Trim(text, "0123456789") == "" && text != "") {
			t.Errorf("%q is %d, %v", text, n, ok)
		}
	}
}

// What a round costs for 64 workers of 20 MiB: to find their processes, the two
// cheap figures, and PSS.
func BenchmarkMemory(b *testing.B) {
	hold, end := must2(pipe()) // what they wait for
	defer unix.Close(end)
	defer unix.Close(hold)
	var workers []int
	known := func(pid int) bool { return slices.Contains(workers, pid) }
	for range 64 {
		in, out := must2(pipe())
		pid, err := startOnMain(Spec{
			Path: "/proc/self/exe", Env: append(roleEnviron("hog"), "HOG=20"), Files: []int{hold, out, 2},
		})
		unix.Close(out)
		if err != nil {
			b.Fatal(err)
		}
		workers = append(workers, pid)
		f := os.NewFile(uintptr(in), "from worker")
		if _, err := f.Read(make([]byte, 32)); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
	b.Cleanup(func() {
		for _, pid := range workers {
			KillGroup(pid)
		}
		for gone := 0; gone < len(workers); {
			<-sigchld
			exits, _, err := reaper.Reap(known, slices.Values(workers))
			if err != nil {
				b.Fatal(err)
			}
			gone += len(exits)
		}
	})
	trees, err := Trees(workers)
	if err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func(){
		"find":     func() { Trees(workers) },
		"scan":     func() { new(procReader).scan() },
		"resident": func() { each(trees, Tree.Resident) },
		"private":  func() { each(trees, func(t Tree) uint64 { n, _ := t.Private(); return n }) },
		"pss":      func() { each(trees, func(t Tree) uint64 { n, _, _ := t.Memory(); return n }) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				read()
			}
		})
	}
}

func each(trees []Tree, read func(Tree) uint64) (sum uint64) {
	for _, t := range trees {
		sum += read(t)
	}
	return sum
}

// treeMemory is the memory of a worker and all its processes.
func treeMemory(pid int) (bytes uint64, kind MemoryKind, err error) {
	trees, err := Trees([]int{pid})
	if err != nil {
		return 0, "", err
	}
	return trees[0].Memory()
}
