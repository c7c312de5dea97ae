package config

import (
	"maps"
	"slices"
	"strings"
)

// Key is one key of the configuration, as everything outside this package that
// lists keys needs it: the flags of the command line, the help, completions.
type Key struct {
	// Name is the key, with its table: "workers", "log.level".
	Name string
	// Flag is the long flag without dashes; "" when there is none.
	Flag string
	// Shorthand is the one-letter flag; "" when there is none.
	Shorthand string
	// Placeholder stands for the value in the help of the flag: "N|auto".
	Placeholder string
	// Repeat tells that the flag may be given several times and that each of
	// its values counts. Otherwise the last one wins.
	Repeat bool
	// Bool tells that the flag may stand without a value.
	Bool bool
	// Env is the variable; "" when it cannot be set by the environment.
	Env string
	// Kind describes the values.
	Kind string
	// Default is the default as TOML.
	Default string
	// Usage is the meaning, in one line.
	Usage string

	// set reads a value into a Config, and leaves it alone if that fails.
	set func(*Config, input) error
	// print returns the value of a Config as TOML.
	print func(*Config) string
	// chosen returns what gosuper chose where the value leaves it the choice,
	// else ""; nil where no value does.
	chosen func(*Config) string
}

// Keys returns every key there is, in the order of the reference.
func Keys() []Key { return slices.Clone(keys) }

// key completes a Key with what its field and its kind say.
func key[T any](k Key, field func(*Config) *T, of kind[T]) Key {
	k.Kind = of.doc
	k.set = func(c *Config, in input) error {
		v, err := of.parse(in)
		if err == nil {
			*field(c) = v
		}
		return err
	}
	return k.printing(func(c *Config) string { return of.print(*field(c)) })
}

// printing gives the key its way to print, and what follows from it.
func (k Key) printing(print func(*Config) string) Key {
	k.print = print
	k.Default = print(Default())
	if k.Name != "command" && k.Name != "env" && k.Name != "resources" {
		k.Env = "GOSUPER_" + strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_"))
	}
	return k
}

// autoKey is a key with a duration that the word leaves to gosuper.
func autoKey(k Key, field func(*Config) *AutoDuration, word string) Key {
	k.chosen = func(c *Config) string {
		if d := field(c); d.Auto {
			return formatDuration(d.Duration)
		}
		return ""
	}
	return key(k, field, autoDuration(word))
}

// envKey is the one key whose layers add to each other.
func envKey(k Key) Key {
	k.Kind = envKind.doc
	k.set = func(c *Config, in input) error {
		env, err := envKind.parse(in)
		if err != nil {
			return err
		}
		merged := maps.Clone(c.Env)
		if merged == nil {
			merged = make(map[string]string)
		}
		maps.Copy(merged, env)
		c.Env = merged
		return nil
	}
	return k.printing(func(c *Config) string { return envKind.print(c.Env) })
}

// find returns the key of that name.
func find(name string) (Key, bool) {
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}

// isTable reports whether name is a table of keys; env is a value.
func isTable(name string) bool {
	return slices.ContainsFunc(keys, func(k Key) bool { return strings.HasPrefix(k.Name, name+".") })
}
