package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxDuration is the longest duration of the configuration. It is far above any
// use, and low enough for sums of a few durations not to overflow.
const maxDuration = 10 * 365 * 24 * time.Hour

var errDuration = errors.New("not a duration")

// parseDuration reads a Go duration ("30s", "1h30m") or a bare number of
// seconds ("30", "0.5"), both without regard to range but for its overflow,
// which saturates.
func parseDuration(s string) (time.Duration, error) {
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil {
		return wholeSeconds(seconds), nil
	}
	if strings.Trim(s, "-0123456789.") == "" {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, errDuration
		}
		return floatSeconds(seconds)
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errDuration
	}
	return d, nil
}

// wholeSeconds converts seconds without overflow.
func wholeSeconds(seconds int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(min(max(seconds, -most), most)) * time.Second
}

// floatSeconds converts seconds without overflow, and refuses NaN. The infinite
// saturates.
func floatSeconds(seconds float64) (time.Duration, error) {
	if math.IsNaN(seconds) {
		return 0, errDuration
	}
	const most = float64(maxDuration) * 2
	return time.Duration(math.Round(min(max(seconds*float64(time.Second), -most), most))), nil
}

// formatDuration writes a duration the way people do: "120s" and "3m", not "2m0s"
// and "3m0s".
func formatDuration(d time.Duration) string {
	if d <= 2*time.Minute && d%time.Second == 0 {
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
