//go:build linux

// Package books keeps what a master counts and what it remembers, for people and
// for programs.
//
// [Books] are told what happens: that a worker was started, is ready, says
// something on its board, has gone; that a reload is over, or lines of the access
// log are lost. What they answer with are the counters of a status, the histograms
// of a scrape, and the incidents: the last workers that died, were killed or were
// replaced for a fault (package incidents). Counters never go backwards, whatever workers write (see
// package tally), and the memory that is held is bounded.
//
// The books are part of the state of the master, and what they know goes on after
// an upgrade in place (package state).
package books
