//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gosuper/gosuper/config"
)

// newMan is gosuper man, with which packages are made. It is hidden: what it
// writes says nothing that gosuper help does not.
func (a *app) newMan(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages into a folder",
		Hidden: true,
		Args:   usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			for name, text := range manuals(root, sourceDate()) {
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(text), 0o644); err != nil {
					return fmt.Errorf("cannot write the manual: %w", err)
				}
			}
			return nil
		},
	}
}

// sourceDate is the day of the commit that this was built from, or "": the same
// source makes the same page.
func sourceDate() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				day, _, _ := strings.Cut(s.Value, "T")
				return day
			}
		}
	}
	return ""
}

// manuals are all manual pages, of that date, by the names of their files.
func manuals(root *cobra.Command, date string) map[string]string {
	pages := map[string]string{"gosuper.1": manOfRoot(root, date), "supervisor.toml.5": manOfFile(date)}
	for _, c := range root.Commands() {
		if !c.Hidden {
			pages["gosuper-"+c.Name()+".1"] = manOfCommand(c, date)
		}
	}
	return pages
}

// manual is a manual page in the macros of man(7).
type manual struct{ strings.Builder }

// newManual begins the page of a name in a section of the manual.
func newManual(name string, section int, short, date string) *manual {
	m := &manual{}
	fmt.Fprintf(m, ".TH %s %d %q %q \"gosuper\"\n", strings.ToUpper(roff(name)), section, date, "gosuper "+version())
	m.WriteString(".nh\n.ad l\n") // names are to be searched for and copied
	m.section("NAME")
	fmt.Fprintf(m, "%s \\- %s\n", roff(name), roff(strings.ToLower(short[:1])+short[1:]))
	return m
}

func (m *manual) section(title string) { fmt.Fprintf(m, ".SH %s\n", title) }

// text writes text as it stands, in paragraphs; what is indented keeps its lines.
func (m *manual) text(text string) {
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			m.WriteString(".PP\n")
		}
		filled := !strings.Contains("\n"+paragraph, "\n ")
		if !filled {
			m.WriteString(".nf\n")
		}
		for line := range strings.SplitSeq(strings.Trim(paragraph, "\n"), "\n") {
			if filled {
				line = lines(line)
			} else {
				line = roff(line)
			}
			m.WriteString(line + "\n")
		}
		if !filled {
			m.WriteString(".fi\n")
		}
	}
}

// item writes a term in bold and what it means.
func (m *manual) item(term, meaning string) {
	fmt.Fprintf(m, ".TP\n\\fB%s\\fR\n%s\n", roff(term), lines(meaning))
}

// lines is text in short lines, which is how roff is written.
func lines(text string) string { return wrap(roff(text), usageWidth-2, "") }

// flags writes the options of a command.
func (m *manual) flags(c *cobra.Command) {
	if !c.Flags().HasAvailableFlags() {
		return
	}
	m.section("OPTIONS")
	c.Flags().VisitAll(func(f *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(f)
		term := strings.TrimRight("--"+f.Name+" "+value, " ")
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		m.item(term, usage)
	})
}

// see writes the pages to read next.
func (m *manual) see(pages ...string) {
	m.section("SEE ALSO")
	for i, p := range pages {
		section := path.Ext(p)
		comma := ","
		if i == len(pages)-1 {
			comma = ""
		}
		fmt.Fprintf(m, ".BR %s (%s)%s\n", roff(strings.TrimSuffix(p, section)), section[1:], comma)
	}
}

// manOfRoot is gosuper(1).
func manOfRoot(root *cobra.Command, date string) string {
	m := newManual("gosuper", 1, root.Short, date)
	m.section("SYNOPSIS")
	m.text(root.Use)
	var pages []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			m.WriteString(".br\n" + roff("gosuper "+c.Use) + "\n")
			pages = append(pages, "gosuper-"+c.Name()+".1")
		}
	}
	m.section("DESCRIPTION")
	m.text(root.Long)
	m.flags(root)
	m.section("SIGNALS")
	m.text(signalsText())
	m.section("EXIT STATUS")
	for code, meaning := range []string{
		exitOK: "Stopped as asked.", exitRuntime: "A failure at run time: an address that cannot be bound, a pid file that is held.",
		exitUsage: "A mistake in usage or configuration.", exitBoot: "The first workers could not boot.",
	} {
		m.item(fmt.Sprint(code), meaning)
	}
	m.section("EXAMPLES")
	m.text(root.Example)
	m.see(append(pages, "supervisor.toml.5")...)
	return m.String()
}

// manOfCommand is the page of one command.
func manOfCommand(c *cobra.Command, date string) string {
	m := newManual("gosuper-"+c.Name(), 1, c.Short, date)
	m.section("SYNOPSIS")
	m.text("gosuper " + c.Use)
	m.section("DESCRIPTION")
	m.text(cmp.Or(c.Long, c.Short+"."))
	if c.Name() != "check" { // whose flags are those of gosuper itself
		m.flags(c)
	}
	m.see("gosuper.1", "supervisor.toml.5")
	return m.String()
}

// manOfFile is supervisor.toml(5).
func manOfFile(date string) string {
	m := newManual("supervisor.toml", 5, "configuration of gosuper", date)
	m.section("DESCRIPTION")
	head, _, _ := strings.Cut(config.Reference(), "\nTop of the file\n")
	m.text(head)
	table := "none"
	for _, k := range config.Keys() {
		in, name, found := strings.Cut(k.Name, ".")
		if !found {
			in, name = "", k.Name
		}
		if in != table {
			table = in
			m.section(cmp.Or(strings.ToUpper(in), "TOP OF THE FILE"))
			if in != "" {
				m.text("Keys of the table [" + in + "].")
			}
		}
		m.item(name, k.Usage)
		ways := "Value: " + k.Kind + ". Default: " + k.Default + "."
		if k.Flag != "" {
			ways += " Flag: --" + k.Flag + "."
		}
		if k.Env != "" {
			ways += " Variable: " + k.Env + "."
		}
		m.WriteString(".br\n" + lines(ways) + "\n")
	}
	m.see("gosuper.1")
	return m.String()
}

// roff escapes a line of text: a backslash, a hyphen that is one to type, and
// what would begin a request.
func roff(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	return line
}
