//go:build linux

package accesslog

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

const (
	// Rate is how many bytes a second of one worker are read in the long run. It is
	// what some 60,000 requests a second write, each with a line of 250 bytes.
	Rate = 16 << 20
	// burst is for how long a worker may have been silent and make up for it.
	burst = time.Second
	// restTime is for how long more a worker has to wait that is beyond its rate, so
	// that it is not looked at for every page.
	restTime = 20 * time.Millisecond
	// leastCost is what the shortest line counts as, since each is work.
	leastCost = 128
	// maxSample is how much of a line that is refused is told.
	maxSample = 200
)

// pipe is that of one worker. What is read from it belongs to the goroutine.
type pipe struct {
	fd     int    `state:"read_end,fd"`
	worker int    `state:"worker"` // sharedWorker: any
	format string `state:"format"` // "": whatever they write

	retired bool `state:"retired"` // its worker is gone; guarded by the mutex of the log

	ending   bool      `state:"-"`        // only what is there is read
	drained  int       `state:"-"`        // what was read since, in bytes
	rest     []byte    `state:"rest"`     // the beginning of a line, shorter than MaxLine
	overlong bool      `state:"overlong"` // the end of a line that was refused is still to come
	sample   []byte    `state:"-"`        // of the last line that was refused
	paid     time.Time `state:"-"`        // when what was read is the worker's due
}

// sharedWorker is the worker of a pipe that is not of one alone.
const sharedWorker = 0

func (p *pipe) name() string {
	if p.worker == sharedWorker {
		return "a worker"
	}
	return fmt.Sprintf("worker %d", p.worker)
}

// read reads what is there; n is 0 at the end, and negative if there is nothing.
func (p *pipe) read(b []byte) (n int) {
	err := error(unix.EINTR)
	for err == unix.EINTR {
		n, err = unix.Read(p.fd, b)
	}
	if p.ending {
		p.drained += max(n, 0)
	}
	return n
}

// cut appends to lines those whole ones of text that the worker may say, counts the
// others, and keeps what is left of text for the next time.
func (p *pipe) cut(lines, text []byte) (whole []byte, refused uint64) {
	cost := max(len(text)-len(p.rest), 0)
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			break
		}
		cost += max(leastCost-end, 0)
		ok := !p.overlong && end < MaxLine
		if ok {
			lines, ok = p.append(lines, text[:end])
		}
		if !ok {
			refused++
			if !p.overlong {
				p.refuse(text[:end])
			}
		}
		p.overlong, text = false, text[end+1:]
	}
	if len(text) >= MaxLine {
		if !p.overlong {
			p.refuse(text)
		}
		p.overlong, text = true, nil
	}
	p.rest = append(p.rest[:0], text...)
	p.pay(cost)
	return lines, refused
}

// append appends a line, which is given without its end, if the worker may say it.
func (p *pipe) append(lines, line []byte) (whole []byte, ok bool) {
	format := p.format
	if format == "" {
		if format = protocol.AccessCombined; bytes.HasPrefix(line, []byte("{")) {
			format = protocol.AccessJSON
		}
	}
	before := len(lines)
	if format == protocol.AccessJSON {
		lines, ok = appendJSON(lines, line, p.worker)
	} else {
		lines, ok = appendCombined(lines, line, p.worker)
	}
	// What was written as numbers has become longer.
	if lines = append(lines, '\n'); !ok || len(lines)-before > MaxLine {
		return lines[:before], false
	}
	return lines, true
}

// finish ends the line that the pipe ends in, as if only its newline was missing.
func (p *pipe) finish(lines []byte) (whole []byte, refused uint64) {
	if len(p.rest) == 0 && !p.overlong {
		return lines, 0
	}
	return p.cut(lines, append(bytes.Clone(p.rest), '\n'))
}

func (p *pipe) refuse(line []byte) {
	p.sample = append(p.sample[:0], line[:min(len(line), maxSample)]...)
}

// pay takes account of what was read.
func (p *pipe) pay(cost int) {
	if least := time.Now().Add(-burst); p.paid.Before(least) {
		p.paid = least
	}
	p.paid = p.paid.Add(time.Duration(cost) * time.Second / Rate)
}

// tooMuch says whether more was read than is the worker's due.
func (p *pipe) tooMuch() bool { return p.paid.After(time.Now()) }

// wakes is when it no longer is.
func (p *pipe) wakes() time.Time { return p.paid.Add(restTime) }

const (
	// maxPipe is what a pipe is asked to hold, a few thousand lines: what may come
	// while a disk is busy for a moment.
	maxPipe = 1 << 20
	// leastPipe is what every pipe can hold, see pipe(7).
	leastPipe = 64 << 10
	// largePipes are so large. A user has a share of the memory for pipes: with
	// many workers, of whom each has less to write, they are halved again and again,
	// to 20 MiB in all beside what they would have anyway.
	largePipes = 8
)

// pipeSize is the size of a pipe where there are others already.
func pipeSize(others int) int {
	size := maxPipe
	for upTo := largePipes; others >= upTo && size > leastPipe; upTo *= 2 {
		size /= 2
	}
	return size
}

// makePipe makes a pipe of that size where it is allowed.
func makePipe(size int) (r, w int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, -1, err
	}
	if size > leastPipe {
		// Beyond the user's share it stays as it is.
		_, _ = unix.FcntlInt(uintptr(p[0]), unix.F_SETPIPE_SZ, size)
	}
	return p[0], p[1], nil
}
