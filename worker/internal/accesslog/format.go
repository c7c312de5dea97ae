package accesslog

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// How much of what the client sent gets into a line, in bytes as written. With all
// the rest this is less than a line may have.
const (
	maxRemote    = 64
	maxMethod    = 32
	maxTarget    = 2048
	maxProto     = 16
	maxReferer   = 512
	maxAgent     = 512
	maxRequestID = 128
)

// format appends one line. The combined format is the one of web servers, followed by
// the duration and the time to the first byte in seconds, the worker's id, the id of the
// request and why it ended:
//
//	192.0.2.1 - - [02/Jan/2006:15:04:05 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8" 0.000123 0.000120 7 "-" ok
//
// JSON has the same facts.
func (a *Log) format(b []byte, e *Entry) []byte {
	if a.json {
		return a.formatJSON(b, e)
	}
	b = appendCombined(b, host(e.Remote), maxRemote)
	b = append(b, " - - ["...)
	b = append(b, a.clock(e.At)...)
	b = append(b, `] "`...)
	b = appendCombined(b, e.Method, maxMethod)
	b = append(b, ' ')
	b = appendCombined(b, e.Target, maxTarget)
	b = append(b, ' ')
	b = appendCombined(b, e.Proto, maxProto)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.Bytes, 10)
	b = append(b, ` "`...)
	b = appendCombined(b, e.Referer, maxReferer)
	b = append(b, `" "`...)
	b = appendCombined(b, e.Agent, maxAgent)
	b = append(b, `" `...)
	b = appendSeconds(b, e.Duration)
	b = append(b, ' ')
	if e.Answered {
		b = appendSeconds(b, e.FirstByte)
	} else {
		b = append(b, '-')
	}
	b = append(b, ' ')
	b = strconv.AppendUint(b, a.worker, 10)
	b = append(b, ` "`...)
	b = appendCombined(b, e.RequestID, maxRequestID)
	b = append(b, `" `...)
	b = append(b, e.Ending.String()...)
	return append(b, '\n')
}

func (a *Log) formatJSON(b []byte, e *Entry) []byte {
	b = append(b, `{"time":"`...)
	b = append(b, a.clock(e.At)...)
	b = append(b, '.')
	b = appendDigits(b, e.At.Nanosecond()/1e6, 3)
	b = append(b, `Z","remote":"`...)
	b = appendJSON(b, host(e.Remote), maxRemote)
	b = append(b, `","method":"`...)
	b = appendJSON(b, e.Method, maxMethod)
	b = append(b, `","target":"`...)
	b = appendJSON(b, e.Target, maxTarget)
	b = append(b, `","proto":"`...)
	b = appendJSON(b, e.Proto, maxProto)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, e.Bytes, 10)
	b = append(b, `,"referer":"`...)
	b = appendJSON(b, e.Referer, maxReferer)
	b = append(b, `","user_agent":"`...)
	b = appendJSON(b, e.Agent, maxAgent)
	b = append(b, `","duration":`...)
	b = appendSeconds(b, e.Duration)
	b = append(b, `,"first_byte":`...)
	if e.Answered {
		b = appendSeconds(b, e.FirstByte)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"worker":`...)
	b = strconv.AppendUint(b, a.worker, 10)
	b = append(b, `,"request_id":"`...)
	b = appendJSON(b, e.RequestID, maxRequestID)
	b = append(b, `","ended":"`...)
	b = append(b, e.Ending.String()...)
	return append(b, "\"}\n"...)
}

// host returns an address without its port, which is of no use to a reader, and
// nothing for a unix socket, whose clients have no address.
func host(remote string) string {
	i := strings.LastIndexByte(remote, ':')
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(remote[:i], "["), "]")
}

const hexDigits = "0123456789abcdef"

// appendCombined appends at most limit bytes of a string such that it can end neither
// its field nor its line, and does nothing to a terminal: what is not plain ASCII
// is written as \xhh. An empty one becomes "-".
func appendCombined(b []byte, s string, limit int) []byte {
	if s == "" {
		return append(b, '-')
	}
	end := len(b) + limit
	for {
		n := plain(s)
		b = append(b, s[:min(n, end-len(b))]...)
		if n == len(s) || end-len(b) < len(`\xhh`) {
			return b
		}
		b = append(b, '\\', 'x', hexDigits[s[n]>>4], hexDigits[s[n]&15])
		s = s[n+1:]
	}
}

// plain returns for how many bytes a string stands for itself, whatever the format.
func plain(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

// appendJSON appends at most limit bytes of the inside of a JSON string. What is not
// UTF-8 becomes U+FFFD, and controls of any kind are written as numbers.
func appendJSON(b []byte, s string, limit int) []byte {
	end := len(b) + limit
	n := plain(s)
	b = append(b, s[:min(n, limit)]...)
	for _, r := range s[n:] {
		begin := len(b)
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029:
			b = append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
		if len(b) > end {
			return b[:begin]
		}
	}
	return b
}

// appendSeconds appends a duration in seconds, to the microsecond.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := max(0, d.Microseconds())
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	return appendDigits(b, int(us%1e6), 6)
}

// appendDigits appends a number below 10^width with leading zeros.
func appendDigits(b []byte, n, width int) []byte {
	b = append(b, "000000000"[:width]...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
