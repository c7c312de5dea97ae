package config

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// readEnvFile reads the env_file.
func (l *loader) readEnvFile() {
	path := l.config.EnvFile
	if path == "" {
		return
	}
	data, err := l.source.readFile(path)
	if err != nil {
		l.fail("env_file", wrong("", "%s: %s", path, whyNot("cannot read it", err)))
		return
	}
	vars, errs := parseEnvFile(string(data))
	for _, e := range errs {
		e.File = path
		l.errs.add(e)
	}
	l.config.fileEnv = vars
}

// parseEnvFile reads lines of NAME=VALUE. A line may begin with "export"; empty
// lines and those that begin with # are skipped. A value is
//   - in single quotes: as it stands;
//   - in double quotes: with \n, \r, \t, \", \\, \$ and \` for these characters;
//   - else: up to the end of the line, or to a # behind a blank, without the
//     blanks around it.
//
// Nothing else is expanded, and the last of several lines of one name wins.
func parseEnvFile(text string) (map[string]string, []*Error) {
	vars := make(map[string]string)
	var errs []*Error
	text = strings.TrimPrefix(text, "\ufeff")
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, err := parseVariable(line)
		for _, p := range problems(err) {
			errs = append(errs, &Error{Line: number, Msg: p.msg, Hint: p.hint})
		}
		vars[name] = value
	}
	return vars, errs
}

// parseVariable reads one line.
func parseVariable(line string) (name, value string, err error) {
	if rest, ok := strings.CutPrefix(line, "export"); ok && strings.TrimLeft(rest, " \t") != rest {
		line = strings.TrimLeft(rest, " \t")
	}
	if !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
		return "", "", wrong("", "must be UTF-8 text without NUL bytes")
	}
	name, rest, ok := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	switch {
	case !ok:
		// The line is not shown: it may be a part of a secret.
		return "", "", wrong("a value over several lines is not possible", "must be NAME=VALUE")
	case strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_.-", r)
	}):
		return "", "", wrong("", "must have a name of letters, digits and _ before the =")
	}
	if err := checkVariable(name); err != nil {
		return "", "", err
	}
	value, err = parseValue(strings.TrimSpace(rest))
	if err != nil {
		err = wrong("", "%s: %s", name, err)
	}
	return name, value, err
}

// parseValue reads what stands behind the =.
func parseValue(s string) (string, error) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		for i := range len(s) {
			if s[i] == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
				return strings.TrimRight(s[:i], " \t"), nil
			}
		}
		return s, nil
	}
	var value strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			rest := strings.TrimSpace(s[i+1:])
			if rest != "" && rest[0] != '#' {
				return "", errors.New("has text behind the closing quote")
			}
			return value.String(), nil
		case c == '\\' && s[0] == '"' && i+1 < len(s):
			i++
			value.WriteString(unescape(s[i]))
		default:
			value.WriteByte(c)
		}
	}
	return "", errors.New("has no closing quote in the same line")
}

// unescape returns what a backslash before c stands for in double quotes. An
// unknown pair stays as it is.
func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	case 't':
		return "\t"
	case '"', '\\', '$', '`':
		return string(c)
	}
	return string([]byte{'\\', c})
}
