//go:build linux

package admin

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/gosuper/gosuper/supervisor/control"
)

// page is what a browser shows at /. It is whole: nothing else is loaded.
//
//go:embed page.html
var page []byte

// policy is the content security policy of the page: the script and the style
// that are in it and no others, and connections to where it came from. So even a
// name that a worker smuggled into the markup could neither run nor load.
func policy(html []byte) string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + digest(html, "script"),
		"style-src " + digest(html, "style"),
		"connect-src 'self'",
		"img-src data:", // the icon
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}, "; ")
}

// digest is the source expression for the one element of that name (CSP level 3,
// section 2.3.1).
func digest(html []byte, element string) string {
	_, rest, _ := bytes.Cut(html, []byte("<"+element+">"))
	text, _, _ := bytes.Cut(rest, []byte("</"+element+">"))
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// servePage answers with the page.
func (e *Endpoint) servePage(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", e.server.policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	w.Write(page)
}

// feed is what the page asks for once a second.
type feed struct {
	Actions bool           `json:"actions"` // whether the page may act
	Status  control.Status `json:"status"`
	// Totals since the master started: finished requests by class of their
	// status, from 1xx on, and their durations; null if no worker reports them.
	Codes     *[5]uint64 `json:"codes"`
	Durations *Histogram `json:"durations"`
	InFlight  *uint64    `json:"in_flight"`
	Backlog   int        `json:"backlog"`
	// The newest come first.
	Incidents []control.Incident `json:"incidents"`
}

// serveFeed answers with the figures of the moment.
func (e *Endpoint) serveFeed(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := answering(r)
	defer cancel()
	m, err := e.server.source.Metrics(ctx)
	if err != nil {
		unavailable(w, err)
		return
	}
	status, err := e.server.source.Status(ctx, true)
	if err != nil {
		unavailable(w, err)
		return
	}
	past, err := e.server.source.Incidents(ctx)
	if err != nil {
		unavailable(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(feed{ // fails only with the connection
		Actions: e.acts(), Status: status, Codes: m.Codes, Durations: m.Durations, InFlight: status.InFlight(), Backlog: m.Backlog,
		Incidents: past.Incidents,
	})
}
