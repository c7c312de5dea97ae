package config

import "time"

// limitKeys are the last of the table: what holds a worker to its place, and what is
// for development.
var limitKeys = []Key{
	key(Key{
		Name:  "limits.nofile",
		Usage: "descriptors a worker may have open (RLIMIT_NOFILE, as all limits soft and hard); 0: what gosuper was started with",
	},
		func(c *Config) *int { return &c.Limits.NoFile }, count(0, maxCount)),
	key(Key{
		Name:  "limits.core",
		Usage: "size of its core file (RLIMIT_CORE); 0: none; -1: as the master",
	},
		func(c *Config) *Size { return &c.Limits.Core }, size(0, -1)),
	key(Key{
		Name: "limits.as",
		Usage: "address space of each of its processes (RLIMIT_AS), most of which runtimes reserve without using it: " +
			"for memory, see max_worker_memory; 0: as the master",
	},
		func(c *Config) *Size { return &c.Limits.AS }, size(MiB, 0)),
	key(Key{
		Name:  "limits.nice",
		Usage: "its nice value; 0: as the master",
	},
		func(c *Config) *int { return &c.Limits.Nice }, count(-20, 19)),
	key(Key{
		Name:  "limits.oom_score_adj",
		Usage: "how readily the kernel kills it when memory runs out: from -1000, never, to 1000, first; 0: as the master",
	},
		func(c *Config) *int { return &c.Limits.OOMScoreAdj }, count(-1000, 1000)),
	key(Key{
		Name:  "limits.no_new_privs",
		Usage: "whether to keep it from gaining privileges by an exec, as of setuid programs such as sudo (PR_SET_NO_NEW_PRIVS); auto: where user is set",
	},
		func(c *Config) *AutoBool { return &c.Limits.NoNewPrivs }, autoBoolean),
	key(Key{
		Name: "limits.outlive",
		Usage: "whether processes it has started and left behind, in a session or process group of their own, may outlive it and gosuper; " +
			"false: they are ended with the worker, each named in a warning",
	},
		func(c *Config) *bool { return &c.Limits.Outlive }, boolean),

	key(Key{
		Name: "proxy.to",
		Usage: "where the program of a proxy listens: port: on the loopback port {port}, which any user of the machine can connect to; " +
			"unix: on the socket {socket}, which its user alone can",
	},
		func(c *Config) *string { return &c.Proxy.To }, choice("port", "unix")),
	key(Key{
		Name:  "proxy.ready_path",
		Usage: "path that the program of a proxy answers with 2xx once it is ready; empty: it is ready when it accepts a connection",
	},
		func(c *Config) *string { return &c.Proxy.ReadyPath }, text("path of a URL", checkReadyPath)),
	key(Key{
		Name:  "proxy.connect_timeout",
		Usage: "how long a connection of a proxy to its program may take",
	},
		func(c *Config) *time.Duration { return &c.Proxy.ConnectTimeout }, duration(aboveZero)),

	key(Key{
		Name: "watch.paths", Repeat: true,
		Usage: "with reload, the files and folders whose changes count; hidden folders, node_modules, virtual environments, caches, " +
			"logs, databases and the files of editors do not; of a Python application only *.py do, unless this is set",
	},
		func(c *Config) *[]string { return &c.Watch.Paths }, texts("list of paths", anyText, checkWatched)),
	key(Key{
		Name: "watch.build", Repeat: true,
		Usage: "with reload, a program and its arguments that is run first, without a shell; if it fails nothing is replaced",
	},
		func(c *Config) *[]string { return &c.Watch.Build }, texts("list of strings", anyText, checkBuild)),
}
