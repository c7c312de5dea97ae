package config

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// TOML returns the configuration as a file that Load reads back, every key in
// it. A value that gosuper chose stands behind it as a comment, and so does what
// is said here of a key.
func (c *Config) TOML(said map[string]string) string {
	var b strings.Builder
	table := ""
	for _, k := range keys {
		in, word := split(k.Name)
		if k.Name == "env" || k.Name == "resources" {
			// The end of the top is the place for its longest values, which read
			// better as tables of their own.
			continue
		}
		if in != table {
			table = in
			b.WriteString("\n[" + table + "]\n")
		}
		b.WriteString(word + " = " + k.print(c))
		if k.chosen != nil && k.chosen(c) != "" {
			b.WriteString("    # " + k.chosen(c))
		}
		if said[k.Name] != "" {
			b.WriteString("    # " + strings.Join(strings.Fields(said[k.Name]), " ")) // in one line
		}
		b.WriteString("\n")
	}
	if len(c.Env) > 0 {
		b.WriteString("\n[env]\n")
		for _, name := range slices.Sorted(maps.Keys(c.Env)) {
			b.WriteString(bareOrQuoted(name) + " = " + quote(c.Env[name]) + "\n")
		}
	}
	if len(c.Resources) > 0 {
		b.WriteString("\n[resources]")
		if said["resources"] != "" {
			b.WriteString("    # " + said["resources"])
		}
		b.WriteString("\n")
		for _, name := range slices.Sorted(maps.Keys(c.Resources)) {
			b.WriteString(bareOrQuoted(name) + " = " + quoteList(c.Resources[name]) + "\n")
		}
	}
	return b.String()
}

// Diff returns the names of the keys in which two configurations differ, in the
// order of the reference. A file that says something else than before counts, be
// it the env_file or one of tls.
func Diff(before, after *Config) []string {
	var names []string
	for _, k := range keys {
		if k.print(before) != k.print(after) || !sameContent(k.Name, before, after) {
			names = append(names, k.Name)
		}
	}
	return names
}

// sameContent reports whether the file that a key names said the same both times.
func sameContent(key string, before, after *Config) bool {
	switch key {
	case "env_file":
		return maps.Equal(before.fileEnv, after.fileEnv)
	case "tls.cert":
		return bytes.Equal(before.certPEM, after.certPEM)
	case "tls.key":
		return bytes.Equal(before.keyPEM, after.keyPEM)
	}
	return true
}

// displayPath writes a path of keys as TOML.
func displayPath(path []string) string {
	parts := make([]string, len(path))
	for i, part := range path {
		parts[i] = bareOrQuoted(part)
	}
	return strings.Join(parts, ".")
}

// bareOrQuoted writes one part of a key as TOML.
func bareOrQuoted(part string) string {
	bare := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
	}
	if part != "" && strings.TrimFunc(part, bare) == "" {
		return part
	}
	return quote(part)
}
