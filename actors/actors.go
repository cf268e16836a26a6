// Package actors holds what gateways and actors say to each other: the
// Envelope that carries a command to a user's actor, and the Reply.
// docs/messages.md is the catalogue of all messages; a test compares it with
// the code.
package actors

import (
	"time"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Node names the run of an IM node that reported an event; the zero value
// means that none was named.
type Node struct {
	Name        string
	Incarnation uint64
}

// Envelope carries one command to the actor of one user.
type Envelope struct {
	App, User string
	// Node owns the session that a PresenceEvent reports.
	Node Node
	// Stopped: the app's hook wants no push of the MessageEvent for this user.
	Stopped bool
	// Command is one of the rouse.v1 events and user-scoped requests.
	Command proto.Message
	// Op numbers a command that must not be carried out twice, the same in all its
	// repeats; 0 = it may be. The router sets it where the caller did not.
	Op uint64
	// Deadline is when the caller no longer waits; zero = the router's default
	// after Route.
	Deadline time.Time
	// Back takes the envelope when the shard is not led here, or no longer, and
	// nothing is known to have come of it: it may be tried again where the shard is
	// led. It must not block. nil = Done is told UNAVAILABLE.
	Back func(*Envelope)
	// Done is called exactly once, after the command's effects are durable or
	// after it was refused; from an actor's turn, so it must not block.
	Done func(Reply)
}

// Reject answers a message that found its mailbox full.
func (e *Envelope) Reject() {
	e.Done(Reply{Err: &rousev1.Error{
		Code: rousev1.ErrorCode_ERROR_CODE_OVERLOADED, Temporary: true,
		Message: "too much waits for the user or for his shard; send the same item again later",
	}})
}

// Return ends a message whose actor stopped before it, or whose shard is not
// led here: Back has it, or else its caller.
func (e *Envelope) Return() {
	if e.Back != nil {
		e.Back(e)
		return
	}
	e.Done(Reply{Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED, Err: &rousev1.Error{
		Code: rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, Temporary: true,
		Message: "the user's shard is moving to another node; send the same item again later",
	}})
}

// IgnoreDeadLetterLogging keeps commands, which hold tokens and texts, out of
// the actor library's log.
func (*Envelope) IgnoreDeadLetterLogging() {}

// Reply answers an Envelope.
type Reply struct {
	// Status of an event; ACCEPTED for requests that succeeded.
	Status rousev1.ItemStatus
	// Err is set when the command was refused: nothing changed.
	Err *rousev1.Error
	// Response is the rouse.v1 response of a request, nil for events.
	Response proto.Message
}

// Router brings an Envelope to the shard that owns its user. It never blocks.
type Router func(*Envelope)
