//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// sample is what one run of a scenario on one target shows.
type sample []figure

// figure is one line of a sample: numbers, or how often something was seen.
type figure struct {
	name     string
	values   []float64
	tally    map[string]int             // instead of values
	sum      func([]float64) float64    // what is made of the values; nil: the median
	form     func(float64) string       // how that is written
	compared bool                       // the ratio of gosuper's to another's is of interest
	must     func(map[string]int) error // what a tally of gosuper's must be; nil: anything
}

func perSecond(name string, v float64) figure {
	return figure{name: name + " per second", values: []float64{v}, form: func(v float64) string { return fmt.Sprintf("%.0f", v) }, compared: true}
}

// span is a time, or several whose median is of interest.
func span(name string, d ...time.Duration) figure {
	f := figure{name: name, form: func(v float64) string { return short(time.Duration(v)) }}
	for _, d := range d {
		f.values = append(f.values, float64(d))
	}
	return f
}

func count(name string, v float64) figure {
	return figure{name: name, values: []float64{v}, form: func(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }}
}

func share(name string, v float64) figure {
	return figure{name: name, values: []float64{v}, form: func(v float64) string { return fmt.Sprintf("%.0f%%", 100*v) }}
}

func size(name string, bytes int) figure {
	return figure{name: name, values: []float64{float64(bytes)}, form: func(v float64) string { return fmt.Sprintf("%.1f MiB", v/(1<<20)) }, compared: true}
}

// seen is how often each thing was seen; a thing with 0 counts as not seen.
func seen(name string, tally map[string]int) figure {
	if tally == nil {
		tally = map[string]int{}
	}
	return figure{name: name, tally: tally}
}

// short rounds a time to three digits, above a second to a millisecond.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for unit < time.Millisecond && d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit).String()
}

// report collects samples. The zero value is empty.
type report struct {
	columns []string
	rows    []*row
}

// row is one figure of a scenario, for all targets.
type row struct {
	scenario string
	figure
	cells map[string]*cell // by column
}

type cell struct {
	values []float64
	tally  map[string]int
	ratios []float64 // of gosuper's to these, pair by pair
}

// add takes a sample of a target.
func (r *report) add(scenario, column string, s sample) {
	if !slices.Contains(r.columns, column) {
		r.columns = append(r.columns, column)
	}
	for _, f := range s {
		c := r.cell(scenario, column, f)
		c.values = append(c.values, f.values...)
		if f.tally != nil && c.tally == nil {
			c.tally = map[string]int{}
		}
		for what, n := range f.tally {
			c.tally[what] += n
		}
	}
}

// pair takes the ratios of two samples that were made one after the other.
func (r *report) pair(scenario, column string, gosuper, other sample) {
	for _, f := range gosuper {
		i := slices.IndexFunc(other, func(o figure) bool { return o.name == f.name })
		if i < 0 || !f.compared {
			continue
		}
		if ratio := f.one(f.values) / f.one(other[i].values); !math.IsNaN(ratio) && !math.IsInf(ratio, 0) {
			c := r.cell(scenario, column, f)
			c.ratios = append(c.ratios, ratio)
		}
	}
}

func (r *report) cell(scenario, column string, f figure) *cell {
	i := slices.IndexFunc(r.rows, func(w *row) bool { return w.scenario == scenario && w.name == f.name })
	if i < 0 {
		i = len(r.rows)
		r.rows = append(r.rows, &row{scenario: scenario, figure: f, cells: map[string]*cell{}})
	}
	c := r.rows[i].cells[column]
	if c == nil {
		c = new(cell)
		r.rows[i].cells[column] = c
	}
	return c
}

// one makes one number of several, and none of none.
func (f *figure) one(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	if f.sum != nil {
		return f.sum(values)
	}
	return quantile(values, 0.5)
}

// markdown is the table.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| scenario | figure | %s |\n", strings.Join(r.columns, " | "))
	fmt.Fprintf(&b, "| --- | --- |%s\n", strings.Repeat(" --- |", len(r.columns)))
	last := ""
	for _, w := range r.rows {
		name := w.scenario
		if name == last {
			name = ""
		}
		last = w.scenario
		fmt.Fprintf(&b, "| %s | %s |", name, w.name)
		for _, column := range r.columns {
			fmt.Fprintf(&b, " %s |", w.text(w.cells[column]))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// text is a cell; "–" is one that was not measured.
func (w *row) text(c *cell) string {
	if c == nil || c.values == nil && c.tally == nil {
		return "–"
	}
	if c.values == nil {
		var parts []string
		for _, what := range slices.Sorted(maps.Keys(c.tally)) {
			if n := c.tally[what]; n > 0 {
				parts = append(parts, fmt.Sprintf("%s: %d", what, n))
			}
		}
		return cmp.Or(strings.Join(parts, ", "), "0")
	}
	text := w.form(w.one(c.values))
	if len(c.ratios) > 0 {
		text += fmt.Sprintf("; ratio %.3f (%.3f–%.3f, n=%d)", quantile(c.ratios, 0.5), quantile(c.ratios, 0.25), quantile(c.ratios, 0.75), len(c.ratios))
	}
	return text
}

// verdict is an error if gosuper did what it never must.
func (r *report) verdict() error {
	var errs []error
	for _, w := range r.rows {
		for _, column := range r.columns {
			c := w.cells[column]
			if c == nil || w.must == nil || !strings.HasPrefix(column, "gosuper") {
				continue
			}
			if err := w.must(c.tally); err != nil {
				errs = append(errs, fmt.Errorf("%s in %s: %w", column, w.scenario, err))
			}
		}
	}
	return errors.Join(errs...)
}

// quantile interpolates between the two nearest values; of none it is NaN.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low, part := math.Modf(at)
	high := min(int(low)+1, len(sorted)-1)
	return sorted[int(low)] + part*(sorted[high]-sorted[int(low)])
}
