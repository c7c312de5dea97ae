//go:build linux

package proxy

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gosuper/gosuper/worker/protocol"
)

// againHeader is in a request that was handed on, and is not handed on again. Its value
// proves, to other fronts of the same master, that what the request says of its client one
// of them has said. The secret itself is in no request: who accepts from the same socket
// may be no front.
const againHeader = "Gosuper-Again"

// vouched are the headers that the value of againHeader holds for.
var vouched = []string{forwardedFor, forwardedHost, forwardedProto, requestID}

// A secret is what the fronts of one master have in common; nil: there is none, and nothing
// is proved.
type secret []byte

// takeSecret reads the secret of this front. No child gets it.
func takeSecret() secret {
	fd, err := strconv.Atoi(os.Getenv(protocol.EnvFrontFD))
	os.Unsetenv(protocol.EnvFrontFD)
	if err != nil || fd <= unix.Stderr {
		return nil
	}
	defer unix.Close(fd)
	s := make(secret, protocol.FrontSecret)
	if n, err := unix.Pread(fd, s, 0); err != nil || n < len(s) {
		return nil
	}
	return s
}

// mark is the value of againHeader for a request that is handed on.
func (s secret) mark(header http.Header) string {
	if s == nil {
		return "1"
	}
	sum := hmac.New(sha256.New, s)
	for _, name := range vouched {
		for _, value := range header[name] {
			sum.Write([]byte(name + ": " + value + "\n"))
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// marked is a request, as it is sent, with its mark.
func marked(request []byte, mark string) []byte {
	line, rest, _ := bytes.Cut(request, []byte("\r\n"))
	return bytes.Join([][]byte{line, []byte(againHeader + ": " + mark), rest}, []byte("\r\n"))
}

// A bearer is who has handed a request on.
type bearer int

const (
	nobody   bearer = iota
	somebody        // who says so
	sibling         // a front of the same master
)

// bearerKey is the key of a bearer in the context of a request.
type bearerKey struct{}

// handedOn is who has handed the request of a context on.
func handedOn(ctx context.Context) bearer {
	who, _ := ctx.Value(bearerKey{}).(bearer)
	return who
}

// unmark takes the mark out, and notes whose it is.
func (s secret) unmark(r *http.Request) *http.Request {
	mark := r.Header[againHeader]
	if mark == nil {
		return r
	}
	who := somebody
	if s != nil && len(mark) == 1 && hmac.Equal([]byte(mark[0]), []byte(s.mark(r.Header))) {
		who = sibling
	}
	r.Header.Del(againHeader)
	return r.WithContext(context.WithValue(r.Context(), bearerKey{}, who))
}
