// Package books keeps what a master has to tell about the past.
//
// [Incidents] are the last workers that died, were killed or were replaced for a
// fault. They are written once, when the worker is gone, and hold a bounded amount
// of memory whatever workers write. Their exported fields are what the next image
// of the master goes on with after an upgrade, and what people and programs are
// shown.
package books
