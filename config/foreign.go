package config

import (
	"maps"
	"slices"
	"strings"
)

// foreign is a setting that people know by a name which is none here: one of
// Gunicorn or uvicorn, or one that this version does not have.
type foreign struct {
	// names are the names, separated by blanks, as keys: preload_app stands for
	// --preload-app too. A single letter is a short option.
	names string
	// key is the key that takes its place; "" if none does.
	key string
	// here is what to do instead, or what there is to know besides the key.
	here string
	// server tells that the server has it as an option.
	server server
}

// server says whose options a foreign setting is one of.
type server int

const (
	noServer     server = iota
	anyServer           // whatever the server calls it
	applications        // what serves a Python application has it by this name, and mostly uvicorn too
)

// findForeign returns what is known of a name; dashes may stand for underscores.
func findForeign(name string) (foreign, bool) {
	if len(name) > 1 {
		name = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "--"), "-", "_"))
	}
	for _, f := range foreignNames {
		if slices.Contains(strings.Fields(f.names), name) {
			return f, true
		}
	}
	return foreign{}, false
}

// ForeignFlag says what is to be written instead of an option of Gunicorn or
// uvicorn, or of one that this version does not have, in one line. The name is
// that of a long option or the letter of a short one, without dashes.
func ForeignFlag(name string) (hint string, known bool) {
	f, known := findForeign(name)
	if !known {
		return "", false
	}
	switch f.server {
	case applications:
		return "an option of the server comes after the application: gosuper [flags] app:app --" + name, true
	case anyServer:
		return f.ofServer(), true
	}
	k, ok := find(f.key)
	switch {
	case !ok:
		return f.here, true
	case k.Flag != "":
		return f.with("here it is --" + k.Flag), true
	case k.Env == "":
		return f.with("here it is the key " + k.Name + " of the file"), true
	}
	return f.with("here it is the key " + k.Name + " of the file, or the variable " + k.Env), true
}

// foreignKey is the same for a key in the file.
func foreignKey(name string) string {
	f, known := findForeign(name)
	if !known || len(name) == 1 {
		return ""
	}
	switch f.server {
	case applications:
		return `an option of the server belongs to command: ["app:app", "--` + strings.ReplaceAll(name, "_", "-") + `"]`
	case anyServer:
		return f.ofServer()
	}
	if k, ok := find(f.key); ok {
		return f.with("here it is " + k.Name)
	}
	return f.here
}

// foreignVariable is the same for a variable.
func foreignVariable(name string) string {
	f, known := findForeign(name)
	if !known || f.server != noServer {
		return ""
	}
	k, ok := find(f.key)
	switch {
	case !ok:
		return f.here
	case k.Env == "":
		return f.with("here it is the key " + k.Name + " of the file")
	}
	return f.with("here it is " + k.Env)
}

// ofServer says where to look for what only the server has.
func (f foreign) ofServer() string {
	return f.with("gosuper leaves HTTP to the server: look for it among the options of COMMAND")
}

// with adds what there is to know.
func (f foreign) with(text string) string {
	if f.here != "" {
		text += "; " + f.here
	}
	return text
}

// foreignVariables returns a warning for each variable by which Gunicorn or
// uvicorn would be configured, and which has no effect, or a bad one. What the
// server of the command reads itself is its own affair, but for workers of its
// own.
func foreignVariables(environ map[string]string, command []string) []string {
	var warnings []string
	if environ["GUNICORN_CMD_ARGS"] != "" && !runs(command, "gunicorn") {
		warnings = append(warnings, "GUNICORN_CMD_ARGS is not read by gosuper: most options of Gunicorn are flags here too, see gosuper --help")
	}
	own := runs(command, "uvicorn")
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		setting, isUvicorn := strings.CutPrefix(name, "UVICORN_")
		setting = strings.ToLower(setting)
		if !isUvicorn || environ[name] == "" {
			continue
		}
		k, same := find(strings.Replace(setting, "log_level", "log.level", 1))
		switch {
		case own && (setting == "workers" || setting == "reload"):
			warnings = append(warnings, name+" makes every worker start workers of its own: unset it, and set "+k.Env)
		case own:
		case same:
			warnings = append(warnings, name+" is not read by gosuper: here it is "+k.Env)
		default:
			if hint := foreignVariable(setting); hint != "" {
				warnings = append(warnings, name+" is not read by gosuper: "+hint)
			}
		}
	}
	return warnings
}

// runs reports whether a command is a program, as such, as python -m PROGRAM, or
// after another such as uv run.
func runs(command []string, program string) bool {
	for i, word := range command {
		if i < 6 && word[strings.LastIndexByte(word, '/')+1:] == program {
			return true
		}
	}
	return false
}
