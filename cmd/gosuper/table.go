//go:build linux

package main

import (
	"slices"
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

// lines are the rows, the heads before them, and widths those of the columns.
func (t *table) lines() (rows [][]string, widths []int) {
	heads := make([]string, len(t.columns))
	for i, c := range t.columns {
		heads[i] = c.head
	}
	rows = append([][]string{heads}, t.rows...)
	widths = make([]int, len(t.columns))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return rows, widths
}

// narrow leaves out columns of these heads, one after the other, until the table fits into
// lines of that width. Of its last column so much has to, as there is room for.
func (t *table) narrow(width, room int, heads ...string) {
	for _, head := range heads {
		_, widths := t.lines()
		wide := 2 * (len(widths) - 1)
		for i, w := range widths {
			if i == len(widths)-1 {
				w = min(w, room)
			}
			wide += w
		}
		at := slices.IndexFunc(t.columns, func(c column) bool { return c.head == head })
		if wide <= width {
			return
		}
		if at < 0 {
			continue
		}
		t.columns = slices.Delete(t.columns, at, at+1)
		for i, cells := range t.rows {
			t.rows[i] = slices.Delete(cells, at, at+1)
		}
	}
}

// String returns the table with a line of heads and no blanks at the ends of
// lines.
func (t *table) String() string {
	rows, widths := t.lines()
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
