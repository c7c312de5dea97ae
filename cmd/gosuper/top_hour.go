//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gosuper/gosuper/supervisor/control"
)

// hourSteps is how many letters the picture of an hour has.
const hourSteps = 30

// blocks are the letters of such a picture, from the least to the most.
var blocks = []rune("▁▂▃▄▅▆▇█")

// hourLines is the last hour in lines: workers where their number was not always the same,
// requests in flight, the 99th percentile of their durations, and memory, each with the most
// that it was. What is not known is left out.
func hourLines(h control.History) (lines []string) {
	if len(h.Points) < 2 {
		return nil
	}
	var parts []string
	add := func(name string, of func(control.Point) *float64, text func(float64) string) {
		if picture, most := pictureOf(h.Points, of); picture != "" {
			parts = append(parts, fmt.Sprintf("%s %s at most %s", name, picture, text(most)))
		}
	}
	whole := func(n float64) string { return fmt.Sprintf("%.0f", n) }
	if slices.ContainsFunc(h.Points, func(p control.Point) bool {
		return p.Workers != nil && h.Points[0].Workers != nil && *p.Workers != *h.Points[0].Workers
	}) {
		add("workers", func(p control.Point) *float64 { return floatOf(p.Workers) }, whole)
	}
	add("in flight", func(p control.Point) *float64 { return floatOf(p.InFlight) }, whole)
	add("p99", func(p control.Point) *float64 { return p.P99Seconds }, age)
	add("memory", func(p control.Point) *float64 { return floatOf(p.MemoryBytes) }, func(n float64) string { return memory(uint64(n)) })
	for _, part := range parts {
		lines = append(lines, "last hour  "+part)
	}
	return lines
}

// pictureOf draws a figure of an hour, with the most in each part of it, and returns the most
// of all; "": it is not known.
func pictureOf(points []control.Point, of func(control.Point) *float64) (picture string, most float64) {
	parts := make([]*float64, hourSteps)
	for _, p := range points {
		v := of(p)
		at := hourSteps - 1 - int(p.AgoSeconds/3600*hourSteps)
		if v == nil || at < 0 {
			continue
		}
		if parts[at] == nil || *parts[at] < *v {
			parts[at] = v
		}
		most = max(most, *v)
	}
	var b strings.Builder
	known := false
	for _, v := range parts {
		switch {
		case v == nil:
			b.WriteByte(' ')
			continue
		case most == 0:
			b.WriteRune(blocks[0])
		default:
			b.WriteRune(blocks[int(*v/most*float64(len(blocks)-1))])
		}
		known = true
	}
	if !known {
		return "", 0
	}
	return b.String(), most
}

func floatOf(n *uint64) *float64 {
	if n == nil {
		return nil
	}
	return new(float64(*n))
}
