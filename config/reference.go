package config

import (
	"strings"
)

// referenceHead is the part of the reference that no table could say.
const referenceHead = `gosuper is configured by flags, by environment variables and by a TOML file (-c FILE).

Precedence, strongest first:
  1. flags, and COMMAND on the command line
  2. the variable GOSUPER_<KEY>, tables by underscore: GOSUPER_LOG_LEVEL
  3. the file
  4. PORT (bind 0.0.0.0:$PORT) and WEB_CONCURRENCY (workers)
  5. the default
A list in a variable has commas between its elements. An empty variable counts as unset.
A reload reads the files again; flags and variables stay those of the start.

A duration is "500ms", "30s", "2m", "1h30m", or a bare number of seconds.
A size is "512MiB", "2GB", or a bare number of bytes.
A relative path starts in chdir, and chdir in the folder gosuper was started in.
The master follows no link that others than root and its own user made, or could have put there. Where others may write,
a log has to have one name and be root's, the master's, or that of the owner of the folder; so has what a master that is
root reads, and in a folder of another user it has to be that user's.
Every mistake is reported at once; a reload that finds one changes nothing.
`

// Reference returns the reference of all keys, for people.
func Reference() string { return referenceHead + entries(keys) }

// Explain returns the part of the reference that is about one key, or about all
// of a table. The name may also be the last part of a key, as in "level", a flag
// without its dashes, or a variable. The error is an *[Error].
func Explain(name string) (string, error) {
	for _, names := range []func(Key) string{
		func(k Key) string { return k.Name },
		func(k Key) string { table, _ := split(k.Name); return table },
		func(k Key) string { _, word := split(k.Name); return word },
		func(k Key) string { return k.Flag },
		func(k Key) string { return k.Shorthand },
		func(k Key) string { return k.Env },
	} {
		var found []Key
		for _, k := range keys {
			if name != "" && names(k) == name {
				found = append(found, k)
			}
		}
		if len(found) > 0 {
			return strings.TrimPrefix(entries(found), "\n"), nil
		}
	}
	table, word := split(name)
	if word == "" {
		table, word = "", name
	}
	return "", &Error{Key: displayPath(strings.Split(name, ".")), Msg: "is not a key", Hint: unknownHint(table, word, false)}
}

// entries are the keys, each with what there is to say.
func entries(keys []Key) string {
	var b strings.Builder
	table := "none"
	for _, k := range keys {
		in, word := split(k.Name)
		if in != table {
			table = in
			if table == "" {
				b.WriteString("\nTop of the file\n")
			} else {
				b.WriteString("\n[" + table + "]\n")
			}
		}
		b.WriteString("\n  " + word + "\n")
		for _, line := range wrap(k.Usage, 92) {
			b.WriteString("      " + line + "\n")
		}
		b.WriteString("      Value: " + k.Kind + ". Default: " + k.defaultText() + ".\n")
		if from := k.ways(); from != "" {
			b.WriteString("      " + from + "\n")
		}
	}
	return b.String()
}

// defaultText describes the default where TOML alone would puzzle.
func (k Key) defaultText() string {
	switch k.Default {
	case `""`, "[]", "{}":
		return "none"
	}
	return k.Default
}

// ways describes how the key is set outside of the file.
func (k Key) ways() string {
	var ways []string
	if k.Flag != "" {
		flag := strings.TrimSpace("--" + k.Flag + " " + k.Placeholder)
		if k.Shorthand != "" {
			flag = "-" + k.Shorthand + ", " + flag
		}
		if k.Repeat {
			flag += " (repeat)"
		}
		ways = append(ways, "Flag: "+flag+".")
	}
	if k.Env != "" {
		ways = append(ways, "Variable: "+k.Env+".")
	}
	return strings.Join(ways, " ")
}

// wrap breaks a text into lines of at most width bytes, at blanks.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
