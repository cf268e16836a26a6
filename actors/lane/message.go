// Package lane sends to one vendor with one credential, no faster than the
// vendor allows, in order per binding, and tells what became of each push.
//
// A lane is one actor per (app, notifier) on this node. The user's actor reserves
// room, commits, dispatches; the lane tells Ended exactly once per push, with the
// vendor's verdict or the obstacle that outlived the push. State is the pure core
// (time is an argument, no I/O); Lane is the shell that runs sends in goroutines.
package lane

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

// Ref names the (message, device) pair that a push is for.
type Ref struct{ App, User, Message, Device, Notifier string }

// Dispatch hands one push to a lane, which owns it from then on.
type Dispatch struct {
	Ref
	// PushID is the idempotency key: a Dispatch of a push that the lane still has
	// changes only To.
	PushID string
	// Order is the same for pushes to the same binding: one of them is in flight
	// at a time, in the order of their dispatch.
	Order uint64
	// Shared: others are likely to get the same at the same time. The push may
	// then wait up to 5 ms to go in one call with them, if the vendor can.
	Shared bool
	// Again: it may have been sent before a restart.
	Again bool
	// Life is all that the push was given: it waits here for no longer, whatever the
	// clocks of who decided it and of this node say; 0 = as long as N says.
	Life time.Duration
	// N expires by the clock on the wall; the lane counts what is left of that when
	// it takes the push in.
	N *vendors.Notification
	// To is told the Ended; nil = nobody.
	To *actor.PID
	// TokenSum comes back in Ended, so that only the token sent is dropped.
	TokenSum [16]byte
}

// Cancel withdraws a push. While queued it ends at once with Status and Reason;
// in flight the vendor's answer decides, but it is not repeated. A push that the
// lane does not have is left alone: it has ended.
type Cancel struct {
	PushID string
	Status rousev1.OutcomeStatus
	Reason rousev1.Reason
}

// Ended tells what became of a push; lanes send *Ended.
type Ended struct {
	Ref
	PushID   string
	TokenSum [16]byte
	Status   rousev1.OutcomeStatus
	Reason   rousev1.Reason
	// VendorCode of the last answer, at most 64 bytes; VendorID at most 128 bytes.
	VendorCode, VendorID string
	// TokenInvalid: drop the token if it is still the one of TokenSum and, when
	// InvalidSince is not zero, was bound before it.
	TokenInvalid bool
	InvalidSince time.Time
	// NewToken replaces the token of TokenSum; empty = no change.
	NewToken string
	At       time.Time
	// InDoubt: it was not accepted as far as is known, but an attempt had no answer.
	InDoubt bool
	// Attempts counts the sends, 0 if there was none.
	Attempts int
	// Elsewhere: the lane of another node told it, which led the shard before. The
	// lane of this one may have the push too.
	Elsewhere bool
}

// Owed marks the answer to a Dispatch, which the asker's admission bounds.
func (*Ended) Owed() {}

// IgnoreDeadLetterLogging keeps a NewToken out of the log.
func (*Ended) IgnoreDeadLetterLogging() {}
