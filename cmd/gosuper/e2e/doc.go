// Package e2e tests the gosuper binary from outside, with real workers, real
// sockets and real load. There is nothing in it but tests.
//
// The binary is built once for each run of the tests, with the race detector if
// the tests have it. Workers are the test binary itself, run again in one of the
// roles of roles_test.go, which speak the worker protocol; the program in
// testdata/plain, which does not; and servers of other languages where the
// machine has them. A role that no test uses fails the run. What the kernel of the
// machine lacks is tested in a virtual one: see guest_test.go.
//
// A test starts a master with start or up and follows it by its log, which is
// JSON and so a sequence of events to wait for: nothing is ever slept for. Every
// process below a master carries a mark in its environment. When the test is over
// the master is stopped, and a process with the mark that is still there fails the
// test.
//
// Figures are reported by t.Log: run with -v to see them. With -short or the race
// detector the amounts are a tenth.
package e2e
