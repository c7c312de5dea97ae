package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gosuper/gosuper/config"
)

// flagValues collects the flags that were given, as text by the name of their
// key: package config alone knows what they mean.
type flagValues map[string]*flagValue

// flagValue is one flag of the configuration.
type flagValue struct {
	key    config.Key
	values []string
}

func (f *flagValue) String() string { return "" }

func (f *flagValue) Set(v string) error {
	if !f.key.Repeat {
		f.values = nil
	}
	f.values = append(f.values, v)
	return nil
}

func (f *flagValue) Type() string {
	if f.key.Bool {
		return ""
	}
	return f.key.Placeholder
}

// addFlags makes a flag of every key that has one.
func addFlags(to *pflag.FlagSet) flagValues {
	all := flagValues{}
	for _, k := range config.Keys() {
		if k.Flag == "" {
			continue
		}
		v := &flagValue{key: k}
		all[k.Name] = v
		f := to.VarPF(v, k.Flag, k.Shorthand, usageOf(k))
		if k.Bool {
			f.NoOptDefVal = "true"
		}
	}
	return all
}

// given returns the values of the flags that were set.
func (all flagValues) given() map[string][]string {
	given := map[string][]string{}
	for name, v := range all {
		if v.values != nil {
			given[name] = v.values
		}
	}
	return given
}

// flagError explains a flag that cannot be understood.
func flagError(cmd *cobra.Command, err error) error {
	hint := "see " + cmd.CommandPath() + " --help"
	if cmd.HasParent() && isForMaster(cmd, err) {
		return usageError{err, fmt.Sprintf("gosuper %s has no such flag; a program of that name is run by gosuper [flags] -- %s", cmd.Name(), cmd.Name())}
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := e.GetSpecifiedName()
		if known, ok := foreignFlag(cmd, e); ok {
			hint = known
		} else if e.GetSpecifiedShortnames() != "" {
			return usageError{err, hint}
		} else if other, _, err := cmd.Root().Find([]string{name}); err == nil && other != cmd.Root() {
			hint = "did you mean gosuper " + name + "?"
		} else if near := nearestFlag(cmd, name); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	return usageError{err, hint}
}

// foreignFlag is what to write instead of an option of another server.
func foreignFlag(cmd *cobra.Command, e *pflag.NotExistError) (hint string, known bool) {
	if cmd.Flags().Lookup("bind") == nil { // a command about a running master
		return "", false
	}
	if letters := e.GetSpecifiedShortnames(); letters != "" {
		return config.ForeignFlag(letters[:1])
	}
	return config.ForeignFlag(e.GetSpecifiedName())
}

// isForMaster says whether the flag that a command does not have is one of
// gosuper itself: somebody has a program with the name of the command.
func isForMaster(cmd *cobra.Command, err error) bool {
	e, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return false
	}
	flags := cmd.Root().Flags()
	f := flags.Lookup(e.GetSpecifiedName())
	if short := e.GetSpecifiedShortnames(); short != "" {
		f = flags.ShorthandLookup(short[:1])
	}
	return f != nil && f.Name != "version"
}

// nearestFlag is the flag that was probably meant, or "". Cobra compares names
// of commands only, so for a moment each flag becomes one.
func nearestFlag(cmd *cobra.Command, name string) string {
	names := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		names.AddCommand(&cobra.Command{Use: f.Name, Hidden: f.Hidden, Run: func(*cobra.Command, []string) {}})
	})
	if near := names.SuggestionsFor(name); len(near) > 0 {
		return near[0]
	}
	return ""
}
