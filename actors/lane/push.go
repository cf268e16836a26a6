package lane

import (
	"time"

	"github.com/rouse-im/rouse/vendors"
)

// level is the rank of a push in the lane, most urgent first.
type level uint8

const (
	levelCall level = iota
	levelIM
	levelBadge // shows nothing, so it yields to what does
	levelSystem
	levelMarketing
	levels
)

func levelOf(n *vendors.Notification) level {
	l := levelSystem
	switch n.Class {
	case vendors.ClassCall:
		l = levelCall
	case vendors.ClassIM:
		l = levelIM
	case vendors.ClassMarketing:
		l = levelMarketing
	}
	switch n.Channel {
	case vendors.ChannelVoIP:
		l = levelCall
	case vendors.ChannelBadge:
		l = max(l, levelBadge)
	}
	return l
}

// push is a Dispatch with its way through the lane. The sending goroutine reads
// d.N, rest, deadline and flight and writes answer; all else is the actor's.
type push struct {
	d    *Dispatch
	lane *Lane // the shell's

	level level
	seq   uint64 // order of dispatch
	// since is the seq that ranks it among other bindings: its own, or that of
	// the push which it superseded, so that collapsing does not lose the place.
	since      uint64
	b          *binding
	prev, next *push // in the list of its binding and level
	expiry     int   // place in the expiry heap

	inFlight  bool
	probe     bool // sent while the breaker was open
	attempts  int
	panics    int
	forgotten bool      // in flight: it ends with a verdict or not at all
	doubt     bool      // an attempt had no answer
	notBefore time.Time // end of its backoff
	why       obstacle  // of the last attempt
	cancel    *Cancel   // arrived while in flight

	sentAt   time.Time
	deadline time.Time
	flight   *flight
	rest     []*push // of the request that it leads
	took     time.Duration
	answer   answer
}

// answer is what came of one attempt.
type answer struct {
	kind answerKind
	res  vendors.Result // of answered
}

type answerKind uint8

const (
	answered answerKind = iota
	unanswered
	timedOut
	panicked
)
