//go:build linux

package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/gosuper/gosuper/supervisor/control"
)

// parts are those of the page.
//
//go:embed page
var parts embed.FS

// page is what a browser shows at /, put together when it is first needed. It is whole:
// nothing else is loaded.
var page = sync.OnceValue(func() []byte {
	html := part("index.html")
	html = bytes.Replace(html, []byte("<style></style>"), slices.Concat([]byte("<style>\n"), part("style.css"), []byte("</style>")), 1)
	script := slices.Concat(part("words.js"), part("charts.js"), part("tables.js"), part("incidents.js"), part("main.js"))
	return bytes.Replace(html, []byte("<script></script>"), slices.Concat([]byte("<script>\n"), script, []byte("</script>")), 1)
})

func part(name string) []byte {
	text, err := parts.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it was there at the build
	}
	return text
}

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
	w.Write(page())
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
	// The newest come first. More about one is at /v1/incidents.
	Incidents []incident `json:"incidents"`
}

// incident is as much of one as a row shows.
type incident struct {
	At           string  `json:"at"`
	AgoSeconds   float64 `json:"ago_seconds"`
	Process      string  `json:"process"`
	Worker       int     `json:"worker"`
	Slot         int     `json:"slot"`
	Reason       string  `json:"reason"`
	Status       string  `json:"status"`
	AgeSeconds   float64 `json:"age_seconds"`
	RequestsLost *uint64 `json:"requests_lost"`
	Detail       string  `json:"detail"`
}

// rows are the incidents in short.
func rows(all []control.Incident) []incident {
	short := make([]incident, len(all))
	for n, i := range all {
		short[n] = incident{
			At: i.At, AgoSeconds: i.AgoSeconds, Process: i.Process, Worker: i.Worker, Slot: i.Slot,
			Reason: i.Reason, Status: i.Status, AgeSeconds: i.AgeSeconds, RequestsLost: i.RequestsLost, Detail: i.Detail(),
		}
	}
	return short
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
		Incidents: rows(past.Incidents),
	})
}
