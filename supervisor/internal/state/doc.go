// Package state writes down what live objects know, and makes objects that know
// the same: an upgrade in place hands the state of the master on like that.
//
// What is written are the live types themselves. Each field of a struct says in
// its tag what becomes of it:
//
//	started time.Time `state:"started"`      // written under that name
//	pipe    int       `state:"pipe,fd"`      // a descriptor, which stays open; -1: none
//	watch   watch     `state:",inline"`      // its fields stand among these
//	workers map[int]T `state:"workers,list=id"` // a list of objects, each with its key
//	done    chan bool `state:"-"`            // transient
//
// so that a new fact is one line. A struct without such tags is written as
// encoding/json does, and so is whatever has methods for that. [Untold] finds the
// fields that say nothing; a test holds that there are none.
//
// An object that others share is written once, in a table, and they have its
// index. Its type says so, with the path of the table:
//
//	_ struct{} `state:"sockets.listeners,table"`
//
// Times are moments of the monotonic clock: nanoseconds since its start, 0 for the
// zero time. Zero values are left out, and what is not in the text keeps the value
// it has, but for a descriptor, which is none then.
//
// What is made of descriptors (files, maps of memory, goroutines) is transient, and
// made anew by whoever reads. A type whose descriptors are not in its fields, or that
// has to be locked, has a method Keep, which is called before it is written.
package state
