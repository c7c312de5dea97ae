//go:build linux

// Package admin is the HTTP interface for those who watch over a master: probes
// of load balancers and containers, Prometheus, and people with a browser.
//
//	GET /health        200 while the master's loop answers, else 503
//	GET /health/ready  200 while a worker is ready and the master does not stop, else 503
//	GET /metrics       the metrics that [Reference] lists, in Prometheus' text format
//	GET /              a page for people, which asks GET /feed once a second
//	GET /v1/status, /v1/incidents, /v1/history
//	                   as on the control socket
//	POST /v1/reload, /v1/scale, /v1/recycle
//	                   as on the control socket, where those who connect may act
//
// It is a listener of the master's own, on which no request for the workers
// arrives. What it tells comes from a [Source] when somebody asks, and from
// nowhere else: a master that nobody watches does nothing for it.
//
// Everybody who can connect is answered, so it belongs on a loopback address, a
// unix socket or a network of operators. Connections are few, requests small and
// slow clients cut off. Who holds connections without asking loses them to the next
// that come, so that a stranger keeps neither probes from being answered nor the
// workers from serving.
package admin
