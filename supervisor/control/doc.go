//go:build linux

// Package control is how a running master is asked and told things: the types
// of its HTTP and JSON interface, the server inside the master, and the client
// that the command line is.
//
// The interface is served on a unix socket that only root and the user of the
// master may use. Nothing on it ever waits for a worker.
package control
