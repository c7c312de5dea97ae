//go:build linux

package shim

// key is the environment entry that makes a process the shim. It comes first,
// and never reaches the worker.
const key = "GOSUPER_EXEC="

// upgradeKey is the environment entry of a master that has just been upgraded in
// place; see package handover.
const upgradeKey = "GOSUPER_UPGRADE="

// Plan is everything the shim needs to know to become the worker.
type Plan struct {
	Master int      // pid the parent must still have when all is set up
	Path   string   // the executable, relative to Dir if relative
	Dir    string   // working folder, "" to keep it
	Argv   []string // whole, with argv[0]
	Env    []string // passed on as it is, but for the value of LISTEN_PID
	Files  int      // descriptors 0..Files-1 are the worker's, its exec closes the others
	Umask  int      // below 0 to keep it
	Limits Limits
	User   *User // nil to keep the master's
}

// Limits are what the worker may use. Below 0 a resource limit stays that of the
// master, as the other numbers do at 0.
type Limits struct {
	NoFile, Core, AS  int // RLIMIT_NOFILE; RLIMIT_CORE and RLIMIT_AS in bytes
	Nice, OOMScoreAdj int
	NoNewPrivs        bool
}

// User is what the worker runs as.
type User struct {
	UID, GID uint32
	Groups   []uint32
}

// Environ returns the environment with which the master's binary carries out
// the plan. Its strings must not contain NUL bytes.
func (p *Plan) Environ() []string {
	l := p.Limits
	noNewPrivs := 0
	if l.NoNewPrivs {
		noNewPrivs = 1
	}
	numbers := []int{
		p.Master, p.Files, p.Umask, len(p.Argv),
		l.NoFile, l.Core, l.AS, l.Nice, l.OOMScoreAdj, noNewPrivs,
	}
	if p.User != nil {
		numbers = append(numbers, int(p.User.UID), int(p.User.GID))
		for _, id := range p.User.Groups {
			numbers = append(numbers, int(id))
		}
	}
	head := key
	for i, n := range numbers {
		if i > 0 {
			head += " "
		}
		head += itoa(n)
	}
	env := make([]string, 0, 4+len(p.Argv)+len(p.Env))
	// One P: the shim has one thing to do, and each further thread the runtime
	// starts would have to be ended and waited for by the exec.
	env = append(env, head, "GOMAXPROCS=1")
	n := 0
	for _, list := range [][]string{{p.Path, p.Dir}, p.Argv, p.Env} {
		for _, s := range list {
			env = append(env, itoa(n)+"="+s)
			n++
		}
	}
	return env
}

// parse is the inverse of Environ. It reports false for anything that Environ
// did not write.
func parse(environ []string) (*Plan, bool) {
	var numbers []int
	for head := environ[0][len(key):]; head != ""; {
		var word string
		word, head = cut(head, ' ')
		n, ok := atoi(word)
		if !ok {
			return nil, false
		}
		numbers = append(numbers, n)
	}
	list := make([]string, 0, len(environ))
	for _, entry := range environ {
		if entry != "" && '0' <= entry[0] && entry[0] <= '9' {
			_, s := cut(entry, '=')
			list = append(list, s)
		}
	}
	const fixed = 10
	if len(numbers) < fixed || len(numbers) == fixed+1 {
		return nil, false
	}
	p := &Plan{Master: numbers[0], Files: numbers[1], Umask: numbers[2]}
	p.Limits = Limits{numbers[4], numbers[5], numbers[6], numbers[7], numbers[8], numbers[9] != 0}
	argc, ids := numbers[3], numbers[fixed:]
	if argc < 0 || len(list) < 2+argc {
		return nil, false
	}
	p.Path, p.Dir, p.Argv, p.Env = list[0], list[1], list[2:2+argc], list[2+argc:]
	if len(ids) > 0 {
		p.User = &User{UID: uint32(ids[0]), GID: uint32(ids[1])}
		for _, id := range ids[2:] {
			p.User.Groups = append(p.User.Groups, uint32(id))
		}
	}
	return p, true
}

// What follows stands in for strings and strconv, which initialise too late.

func hasPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && s[:len(prefix)] == prefix
}

func cut(s string, sep byte) (before, after string) {
	for i := range len(s) {
		if s[i] == sep {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func itoa(n int) string {
	if n < 0 {
		return "-" + itoa(-n)
	}
	var buf [20]byte
	i := len(buf)
	for {
		i--
		buf[i] = byte('0' + n%10)
		n /= 10
		if n == 0 {
			return string(buf[i:])
		}
	}
}

func atoi(s string) (int, bool) {
	digits := s
	if hasPrefix(s, "-") {
		digits = s[1:]
	}
	if digits == "" || len(digits) > 18 {
		return 0, false
	}
	n := 0
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
		n = 10*n + int(digits[i]-'0')
	}
	if len(digits) < len(s) {
		n = -n
	}
	return n, true
}
