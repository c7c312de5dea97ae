// Package httpd is an HTTP server for the few who watch over a master, of whom
// anybody who can connect may be one. It holds a bounded number of connections,
// and who comes when there are as many is not left waiting: the one that needs its
// place the least gives it up. That is one that idles between two requests, else
// one that has not sent a whole request, else one that does not read its answer,
// and of several the oldest. What the handler is at work on stays.
//
// It ends gracefully, which http.Server.Shutdown alone does not: that drops a
// request which it has just read (golang/go#23829).
package httpd
