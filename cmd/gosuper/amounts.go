//go:build linux

package main

import (
	"fmt"
	"strconv"
	"time"
)

// memory is an amount for people; "-" if it is not known.
func memory(bytes uint64) string {
	if bytes == 0 {
		return "-"
	}
	value, unit := float64(bytes)/(1<<20), "MiB"
	if value >= 1024 {
		value, unit = value/1024, "GiB"
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + unit
}

// cpuTime is a time on a processor, "-" where it is not known.
func cpuTime(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return age(*seconds)
}

// known is a number, "-" where there is none.
func known[N int | uint64](n *N) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// age is a time for people, in its two largest units.
func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	units := func(big time.Duration, bigName string, small time.Duration, smallName string) string {
		return fmt.Sprintf("%d%s%02d%s", d/big, bigName, d%big/small, smallName)
	}
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(seconds, 'f', 1, 64) + "s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return units(time.Minute, "m", time.Second, "s")
	case d < 24*time.Hour:
		return units(time.Hour, "h", time.Minute, "m")
	}
	return units(24*time.Hour, "d", time.Hour, "h")
}
