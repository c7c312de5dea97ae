// Package guard looks at the boards of workers when something on one of them can be
// past its time, and says which requests do not end and which workers give no sign of
// life. What follows from that is for others to decide: a [Sight] is what one look
// saw, and each look tells all that it sees, whether it is new or not.
//
// No request that starts after now can be overdue before now and the shortest of its
// limits, so a board is read only when the earliest of all can be: an idle fleet is
// looked at once in so long, and what does not end is seen to the moment.
package guard
