//go:build linux

package files

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// An Imprint tells whether a file is still the one that it was.
type Imprint struct {
	Dev     uint64 `json:"dev"`
	Ino     uint64 `json:"ino"`
	Size    int64  `json:"size"`
	ModTime int64  `json:"mod_time"` // nanoseconds
}

// ImprintOf is that of what is behind a path.
func ImprintOf(path string) (Imprint, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return Imprint{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return ImprintFrom(&stat), nil
}

// ImprintFrom is that of a file that was looked at.
func ImprintFrom(stat *unix.Stat_t) Imprint {
	return Imprint{uint64(stat.Dev), stat.Ino, stat.Size, stat.Mtim.Nano()}
}
