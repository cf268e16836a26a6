// Package client sends the events of an IM node to Rouse: presence, messages,
// fetches and reads. One Client serves a whole node and may be used from many
// goroutines.
//
// # What an answer means
//
// An accepted event is on disk at the engine. A refused one changed nothing for
// at least one recipient. Repeating an event with the same ids is always safe,
// and the client does so by itself: after a broken connection, and after a
// refusal for a passing condition, until the event's deadline. Only then is the
// passing condition reported.
//
// # Order
//
// Events of one user reach the engine in the order of Send. There is one
// exception: when an event is refused for a passing condition, those of the
// same user that were already under way may be applied before it is repeated;
// those not yet under way wait for it. Presence loses nothing by this: its
// (session, step) says which report is newer.
//
// # Bounds
//
// Events that are not answered yet are held in memory, at most
// Options.BufferBytes. Beyond that Send waits. An event is given up, and its
// sender told, when it is not answered within Options.Deadline.
package client
