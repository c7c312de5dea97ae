package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gosuper/gosuper/config"
)

// The layout of --help, which fits the narrowest terminal people use.
const (
	usageWidth = 80
	flagWidth  = 27 // of a flag with its value; longer ones get a line of their own
)

// usageText is the page of --help.
func usageText(cmd *cobra.Command) string {
	var b strings.Builder
	b.WriteString(cmp.Or(cmd.Long, cmd.Short) + "\n\nUsage:\n")
	line := func(use, short string) { fmt.Fprintf(&b, "  %-38s  %s\n", use, short) }
	if cmd.HasParent() {
		fmt.Fprintf(&b, "  gosuper %s\n", cmd.Use)
	} else {
		line(cmd.Use, cmd.Short)
		for _, c := range cmd.Commands() {
			if !c.Hidden {
				line("gosuper "+c.Use, c.Short)
			}
		}
	}
	if cmd.Example != "" {
		b.WriteString("\nExamples:\n" + cmd.Example + "\n")
	}
	if cmd.Name() != "check" && cmd.Flags().HasAvailableFlags() {
		b.WriteString("\nFlags:\n")
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				b.WriteString(flagText(f))
			}
		})
	}
	return b.String()
}

// flagText is a flag, its value and its meaning.
func flagText(f *pflag.Flag) string {
	text := "    "
	if f.Shorthand != "" {
		text = "-" + f.Shorthand + ", "
	}
	value, usage := pflag.UnquoteUsage(f)
	text = strings.TrimRight(text+"--"+f.Name+" "+value, " ")
	if len(text) > flagWidth {
		text += "\n  " + strings.Repeat(" ", flagWidth)
	} else {
		text += strings.Repeat(" ", flagWidth-len(text))
	}
	indent := strings.Repeat(" ", 2+flagWidth+2)
	return "  " + text + "  " + wrap(usage, usageWidth-len(indent), indent) + "\n"
}

// usageOf is the meaning of a key as its flag says it.
func usageOf(k config.Key) string {
	usage := k.Usage
	if k.Repeat {
		usage += "; may be given several times"
	}
	if value := strings.Trim(k.Default, `"[]{}`); value != "" {
		usage += "; default " + value
	}
	return usage
}

// wrap breaks text into lines of at most width bytes; indent starts all but
// the first.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	n := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case n+1+len(word) > width:
			b.WriteString("\n" + indent)
			n = 0
		default:
			b.WriteString(" ")
			n++
		}
		b.WriteString(word)
		n += len(word)
	}
	return b.String()
}
