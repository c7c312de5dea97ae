//go:build linux

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"
)

// maxAnswer bounds what a client reads of one answer, in bytes.
const maxAnswer = 64 << 20

// Client talks to one master. Its methods may be called by several goroutines,
// wait for as long as their context allows. Their errors are an *[Unreachable] if
// there is nobody to ask, else an *[Error].
type Client struct {
	address string
	trust   trust
	http    http.Client
}

// NewClient makes a client of the control socket at an address that somebody
// gave, wherever the master lives; for those that were looked for there is
// [Home.Client].
func NewClient(address string) *Client {
	owner := os.Geteuid()
	if owner == 0 {
		owner = anybody // who may be asked to see to the masters of others
	}
	return newClient(address, trust{owner: owner})
}

func newClient(address string, t trust) *Client {
	return &Client{address: address, trust: t, http: http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, _, err := dial(ctx, address, t)
			return c, err
		},
	}}}
}

// Status asks what runs, with the requests in flight if they are wanted.
func (c *Client) Status(ctx context.Context, withRequests bool) (st Status, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/status", options{"requests": withRequests}, nil, &st)
	st.ofOlder()
	return st, err
}

// Incidents asks for the last workers that died or were ended.
func (c *Client) Incidents(ctx context.Context) (all Incidents, err error) {
	return all, c.do(ctx, http.MethodGet, "/v1/incidents", nil, nil, &all)
}

// History asks for the picture of the last hour.
func (c *Client) History(ctx context.Context) (h History, err error) {
	return h, c.do(ctx, http.MethodGet, "/v1/history", nil, nil, &h)
}

// Health asks what a probe wants to know.
func (c *Client) Health(ctx context.Context) (h Health, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/health", nil, nil, &h)
	if h.Condition == "" {
		h.Condition = Condition(h.State)
	}
	return h, err
}

// Reload has the configuration loaded and the workers replaced. Without wait the
// result is normally that it is under way.
func (c *Client) Reload(ctx context.Context, wait bool) (r Reload, err error) {
	for {
		err = c.do(ctx, http.MethodPost, "/v1/reload", options{"wait": wait}, nil, &r)
		if !wait || !isCut(ctx, err) || c.gone(ctx) {
			return r, err
		}
		pause(ctx, upgradeLook)
	}
}

// Scale changes the number of workers.
func (c *Client) Scale(ctx context.Context, by Scaling) (s Scaled, err error) {
	return s, c.do(ctx, http.MethodPost, "/v1/scale", nil, by, &s)
}

// Recycle has workers replaced.
func (c *Client) Recycle(ctx context.Context, which Recycling) (r Recycled, err error) {
	return r, c.do(ctx, http.MethodPost, "/v1/recycle", nil, which, &r)
}

// Stop has the master stop, with wait returns when it has ended. Quick does not
// wait for requests in flight.
func (c *Client) Stop(ctx context.Context, quick, wait bool) error {
	for {
		err := c.do(ctx, http.MethodPost, "/v1/stop", options{"quick": quick, "wait": wait}, nil, &Stopped{})
		if !wait || !isCut(ctx, err) {
			return err
		}
		if c.gone(ctx) {
			return nil // before it could say so
		}
		pause(ctx, upgradeLook)
	}
}

// isCut says whether the error is that of an answer which did not come: the next
// version of the master came between, which may not have heard of the question.
func isCut(ctx context.Context, err error) bool {
	e, asked := errors.AsType[*Error](err)
	return asked && e.Status == 0 && ctx.Err() == nil
}

// Watch asks for the status again and again, also while the master becomes its
// next version, until whoever looks has seen enough.
func (c *Client) Watch(ctx context.Context, enough func(Status) bool) error {
	for {
		st, err := c.Status(ctx, false)
		if err == nil && enough(st) {
			return nil
		}
		if err != nil && (!isCut(ctx, err) || c.gone(ctx)) {
			return err
		}
		pause(ctx, watchEvery)
	}
}

// watchEvery is how often who watches asks.
const watchEvery = 100 * time.Millisecond

// upgradeLook is how often it is looked whether an upgrade is over.
const upgradeLook = 20 * time.Millisecond

// pause waits, at most until the context is over.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// Upgrade has the master become the program that is now where it was started
// from, and returns when that runs. An *[Error] says why it does not.
func (c *Client) Upgrade(ctx context.Context) (u Upgrade, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/upgrade", nil, nil, &u)
	for err == nil && u.Result == Underway {
		pause(ctx, upgradeLook)
		err = c.do(ctx, http.MethodGet, "/v1/upgrade", nil, nil, &u)
	}
	if err == nil && u.Result == Refused {
		err = &Error{Status: http.StatusConflict, Message: u.Error}
	}
	return u, err
}

// options are the parameters of a query that are given or not.
type options map[string]bool

// do asks for one thing. The answer to a reload or a probe is one whatever the
// status; else it is an error from 400.
func (c *Client) do(ctx context.Context, method, path string, with options, body, into any) error {
	query := url.Values{}
	for name, on := range with {
		if on {
			query.Set(name, "1")
		}
	}
	target := url.URL{Scheme: "http", Host: "gosuper", Path: path, RawQuery: query.Encode()}
	var content []byte
	if body != nil {
		content, _ = json.Marshal(body) // of types that can be
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(content))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(req)
	if err != nil {
		return c.silence(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return c.silence(err)
	}
	refused := Error{Status: answer.StatusCode}
	if answer.StatusCode >= http.StatusBadRequest && json.Unmarshal(text, &refused) == nil && refused.Message != "" {
		if result, ok := into.(*Reload); !ok || json.Unmarshal(text, result) != nil || result.Result == "" {
			return &refused
		}
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return &Error{Status: answer.StatusCode, Message: fmt.Sprintf("%s does not answer like a master of this version: %s", c.address, answer.Status)}
	}
	return nil
}

// silence says why there is no answer.
func (c *Client) silence(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*Unreachable](err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Message: "the master at " + c.address + " does not answer in time"}
	case errors.Is(err, context.Canceled):
		return &Error{Message: "given up waiting"}
	}
	return &Error{Message: "the master at " + c.address + " ended before it answered"}
}

// gone says whether nobody listens there any more.
func (c *Client) gone(ctx context.Context) bool {
	_, err := probe(ctx, c.address, c.trust)
	return absent(err)
}

// absent says whether the error of a probe means that nobody listens there.
func absent(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// probe finds out who listens at an address. The errors are those of dial.
func probe(ctx context.Context, address string, t trust) (peer, error) {
	c, p, err := dial(ctx, address, t)
	if err != nil {
		return peer{}, err
	}
	return p, c.Close()
}

// trust is who may be talked to at an address.
type trust struct {
	owner int  // the user who has to listen there, or anybody
	near  bool // only in the pid namespace of this process
}

// anybody is an owner that every user is taken for.
const anybody = -1

// dial connects to an address if the process that listens there is to be
// trusted. The error is an *[Unreachable], or that of the context.
func dial(ctx context.Context, address string, t trust) (net.Conn, peer, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, peer{}, ctx.Err()
		}
		return nil, peer{}, unreachable(address, err)
	}
	p, err := peerOf(c.(*net.UnixConn))
	switch {
	case err != nil:
	case p.uid != t.owner && t.owner != anybody:
		err = foreign(p.uid)
	case t.near && !p.near():
		err = errElsewhere
	default:
		return c, p, nil
	}
	c.Close()
	return nil, peer{}, unreachable(address, err)
}

// errElsewhere is that a master was found which is not the one that is meant.
var errElsewhere = errors.New("it runs in another pid namespace")

// foreign is the user who listens where somebody else was meant.
type foreign int

func (uid foreign) Error() string {
	return fmt.Sprintf("it belongs to user %d: %v", int(uid), fs.ErrPermission)
}

// Unwrap returns what the user of this process lacks.
func (foreign) Unwrap() error { return fs.ErrPermission }

// Unreachable is the error of an address at which no master can be talked to.
type Unreachable struct {
	Address string
	Err     error // wraps the errno
	Hint    string
}

func (e *Unreachable) Error() string {
	reason := e.Err
	if errno, ok := errors.AsType[syscall.Errno](e.Err); ok {
		reason = errno
	}
	return fmt.Sprintf("cannot reach a master at %s: %v", e.Address, reason)
}

// Unwrap returns Err.
func (e *Unreachable) Unwrap() error { return e.Err }

func unreachable(address string, err error) error {
	e := &Unreachable{Address: address, Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "only root and the user of the master may use its control socket: run this as one of them"
	case errors.Is(err, errElsewhere):
		e.Hint = "a master of another container is reached by --control " + address
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		e.Hint = "no master runs there; where a master has its socket is control.socket of its configuration"
	}
	return e
}
