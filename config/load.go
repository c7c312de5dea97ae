package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Source is where a configuration comes from. Flags, environment, command and
// folder are those of the start; a reload loads the same Source again, and finds
// what the files say by then.
type Source struct {
	// File is the TOML file, relative to Dir; "": there is none.
	File string
	// Environ is the environment, as os.Environ returns it.
	Environ []string
	// Flags are the values of the flags that were given, by the name of the
	// key ("log.level"), in the order in which they were given.
	Flags map[string][]string
	// Command is the COMMAND of the command line; empty: that of the file.
	Command []string
	// Dir is the folder gosuper was started in; "": the current one.
	Dir string
	// Program is the file of the master itself, absolute: a Python application is
	// served by the Python that it was installed with; "": none is known.
	Program string
	// Open opens a file for reading, of any kind and without waiting; nil: as the
	// system does. A master that is root has to mind who could have put it there.
	Open func(path string) (*os.File, error)

	text *string // what File said, see Once; nil: it is read by each Load
}

// The layers, from the weakest to the strongest.
const (
	layerDefault = iota
	layerPlatform
	layerFile
	layerEnviron
	layerFlags
)

// origin is where the value of a key is written.
type origin struct {
	layer int
	// from is the flag or the variable; "" in the file.
	from string
	line int
}

// loader collects one configuration.
type loader struct {
	source   Source
	config   *Config
	marks    marks
	origins  map[string]origin
	failed   map[string]bool
	errs     Errors
	warnings []string
	// fileFailed tells that the file could not be understood, so that nothing
	// can be said about what is missing.
	fileFailed bool
}

// Load makes the configuration of a source. The warnings are one line each, for
// the log. The error is an *[Errors] with all there is to say, unless the
// current folder cannot be found out.
func Load(source Source) (c *Config, warnings []string, err error) {
	l, err := newLoader(source)
	if err != nil {
		return nil, nil, err
	}
	l.readLayers()
	l.remember()
	l.finish()
	if len(l.errs.List) > 0 {
		return nil, l.warnings, &l.errs
	}
	return l.config, l.warnings, nil
}

func newLoader(source Source) (*loader, error) {
	dir, err := filepath.Abs(source.Dir)
	if err != nil {
		return nil, fmt.Errorf("cannot find the current folder: %w", err)
	}
	source.Dir = dir
	l := &loader{
		source:  source,
		config:  Default(),
		origins: make(map[string]origin),
		failed:  make(map[string]bool),
	}
	l.config.Dir = dir
	return l, nil
}

// readLayers applies all that the source says, from the file to the platform.
func (l *loader) readLayers() {
	environ := l.start()

	l.readTOML()
	l.readEnviron(environ)
	l.readFlags()
	l.readPlatform(environ)
}

// start notes what the master was started with, and returns its environment.
func (l *loader) start() map[string]string {
	environ := environMap(l.source.Environ)
	l.config.started = started{searchPath: environ["PATH"], virtualEnv: environ["VIRTUAL_ENV"], program: l.source.Program}
	return environ
}

// readFlags applies the flags and COMMAND.
func (l *loader) readFlags() {
	names := make([]string, 0, len(l.source.Flags))
	for name := range l.source.Flags {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		k, ok := find(name)
		if !ok || k.Flag == "" {
			l.errs.add(&Error{Key: name, Msg: "has no flag"})
			continue
		}
		if values := l.source.Flags[name]; len(values) > 0 {
			l.apply(k, input{texts: values}, origin{layer: layerFlags, from: "--" + k.Flag})
		}
	}
	if len(l.source.Command) > 0 {
		k, _ := find("command")
		l.apply(k, input{texts: l.source.Command}, origin{layer: layerFlags, from: "COMMAND"})
	}
}

// readEnviron applies GOSUPER_<KEY>. An empty variable counts as unset, as it
// does for most programs.
func (l *loader) readEnviron(environ map[string]string) {
	for _, k := range keys {
		value := environ[k.Env]
		if k.Env == "" || value == "" || notForUs(k.Env, environ) {
			continue
		}
		in := input{texts: []string{value}}
		if k.Repeat {
			in.texts = splitList(value)
		}
		l.apply(k, in, origin{layer: layerEnviron, from: k.Env})
	}
	l.readResources(environ)
	l.warnings = append(l.warnings, unknownVariables(environ)...)
}

// readPlatform applies what hosting platforms set, PORT and WEB_CONCURRENCY.
// Being the weakest layer it comes last and fills what is still open.
func (l *loader) readPlatform(environ map[string]string) {
	if port := environ["PORT"]; port != "" {
		l.readPort(port)
	}
	if n := environ["WEB_CONCURRENCY"]; n != "" {
		if _, ok := l.origins["workers"]; !ok {
			workers, _ := find("workers")
			l.apply(workers, input{texts: []string{n}}, origin{layer: layerPlatform, from: "WEB_CONCURRENCY"})
		}
	}
}

// readPort applies PORT, or says why not.
func (l *loader) readPort(port string) {
	if by, ok := l.origins["bind"]; ok {
		l.warn("PORT=%s is ignored: %s says where to bind", port, cmp.Or(by.from, "bind in "+l.source.File))
		return
	}
	bind, _ := find("bind")
	from := origin{layer: layerPlatform, from: "PORT"}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		l.origins["bind"] = from
		l.fail("bind", wrong("", "must be a port from 0 to 65535, not %s", quote(port)))
		return
	}
	l.apply(bind, input{texts: []string{"0.0.0.0:" + port}}, from)
}

// apply sets a key, or records what is wrong with its value.
func (l *loader) apply(k Key, in input, from origin) {
	l.origins[k.Name] = from
	if err := k.set(l.config, in); err != nil {
		l.fail(k.Name, err)
	}
}

// fail records what is wrong with the value of a key, at the place of the value.
func (l *loader) fail(key string, err error) {
	l.failed[key] = true
	from := l.origins[key]
	for _, p := range problems(err) {
		e := &Error{From: from.from, Line: from.line, Key: key, Msg: p.msg, Hint: p.hint}
		if from.layer == layerFile {
			e.File = l.source.File
		}
		if p.part != "" {
			e.Key = key + "." + bareOrQuoted(p.part)
			if from.layer == layerFile {
				e.Line = cmp.Or(l.marks.line(key, p.part), e.Line)
			}
		}
		l.errs.add(e)
	}
}

// warn adds a warning.
func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

// add appends an error.
func (e *Errors) add(one *Error) { e.List = append(e.List, one) }

// splitList splits a list in a variable at its commas.
func splitList(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
