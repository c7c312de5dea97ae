// Package config turns what an operator wrote, in a TOML file, in the
// environment and on the command line, into one [Config], or into a list of
// everything that is wrong with it.
//
// There is one table of keys (keys.go). A key states its name, its flag, its
// variable, its kind and its one line of documentation once; decoding, the
// flags of the command line, the names of the variables, [Reference],
// [Config.TOML] and [Diff] are all loops over that table. Adding a key means
// adding a field to Config, its default, and one entry to the table.
//
// [Load] works in layers, from the weakest to the strongest: the defaults, PORT
// and WEB_CONCURRENCY, the file, GOSUPER_<KEY>, the flags, COMMAND. Each layer
// sets values and remembers where each came from, so that a contradiction
// between two keys is reported where an operator can repair it. No layer stops
// at its first mistake: the result of a bad configuration is [Errors], with
// every problem in it.
//
// A Config is complete and never changes: paths are absolute, "auto" durations
// are computed, the env_file and the certificate have been read. A reload calls
// Load again with the same [Source]. What depends on the moment is asked for separately and may
// fail: [Config.Resolve] follows the symlinks of the working folder and of the
// command, which each generation of workers does anew, and [Config.CountWorkers]
// reads the CPU quota and the memory limit.
//
// The parser for TOML knows no positions of keys, so the package has a small
// scanner of its own (position.go), which only ever sees text that the parser
// has accepted.
package config
