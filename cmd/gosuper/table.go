//go:build linux

package main

import (
	"strings"
	"unicode/utf8"
)

// alignment is on which side the cells of a column are even.
type alignment int

const (
	left alignment = iota
	right
)

type column struct {
	head  string
	align alignment
}

// table is text in columns, each as wide as its widest cell.
type table struct {
	columns []column
	rows    [][]string
}

// add adds a row with a cell for each column.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// String returns the table with a line of heads and no blanks at the ends of
// lines.
func (t *table) String() string {
	heads := make([]string, len(t.columns))
	for i, c := range t.columns {
		heads[i] = c.head
	}
	rows := append([][]string{heads}, t.rows...)
	widths := make([]int, len(t.columns))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, cells := range rows {
		var line strings.Builder
		for i, cell := range cells {
			if i > 0 {
				line.WriteString("  ")
			}
			blank := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.columns[i].align == right {
				cell, blank = blank, cell
			}
			line.WriteString(cell + blank)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}
