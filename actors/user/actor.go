package user

import (
	"cmp"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/lane"
	"github.com/rouse-im/rouse/actors/mailbox"
	"github.com/rouse-im/rouse/actors/user/quiet"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
)

// DefaultMailbox is how many commands of one user may wait; more are refused
// as overloaded.
const DefaultMailbox = 1024

// Deps are what user actors need; all of them share one.
type Deps struct {
	Store *storage.Store
	Ring  *seal.Ring
	Lanes *lane.Directory
	// App returns nil when there is no such app.
	App func(id string) *App
	// Live tells whether the run of an IM node holds its lease.
	Live func(app, node string, incarnation uint64, now time.Time) bool
	// Told says that events for the webhook of an app are on disk; it must not
	// block. nil when there is nobody to tell them.
	Told   func(app string)
	Zones  *quiet.Zones
	Logger *slog.Logger
	// Mailbox is how many commands of one user may wait; 0 = DefaultMailbox.
	Mailbox int
	// Clock tells the time; nil = time.Now.
	Clock func() time.Time
}

// Now is the time by the clock of the node.
func (d *Deps) Now() time.Time {
	if d.Clock == nil {
		return time.Now()
	}
	return d.Clock()
}

// Cell is what a shard and one of its users share besides messages: counters,
// each written by one side, that tell the other how far it has come.
type Cell struct {
	// Handled messages, modulo 2^32; written by the user. Equal to what the shard sent when
	// the user has nothing left to do.
	Handled atomic.Uint32
	// Pending messages; written by the user. A user with any is not passivated.
	Pending atomic.Int32
	// Proposed is the user's last step, Committed the last that is durable.
	Proposed  atomic.Uint64
	Committed atomic.Uint64
	// Unsure are answers on their way to the shard, see Step.Known; written by both.
	Unsure atomic.Int32
}

// Settled says that nothing the user decided awaits its commit.
func (c *Cell) Settled() bool { return c.Committed.Load() == c.Proposed.Load() }

// Home is what all users of a shard have in common. It never changes.
type Home struct {
	Deps  *Deps
	Shard uint16
	To    *actor.PID // the shard's
	Epoch uint64
	// Alone tells that no other node can lead the shard, so that what users remember
	// is true; nil = none ever can.
	Alone func() bool
}

// Activate is the first message to a user's actor.
type Activate struct {
	App, User string
	Home      *Home
	Cell      *Cell
	// Outbox entries found when the shard started, in order of decision.
	Outbox []Entry
}

// Owed: the mailbox of a fresh actor has room.
func (*Activate) Owed() {}

// IgnoreDeadLetterLogging keeps stored pushes out of the log.
func (*Activate) IgnoreDeadLetterLogging() {}

// Entry is an outbox entry.
type Entry struct {
	Message string
	Value   string
}

// Wake tells a user that delayed or waiting pushes are due.
type Wake struct{}

// Step is what a user's command changes. The shard commits the mutations of
// many users together; then it tells the lanes, makes the claims and replies.
type Step struct {
	Epoch     uint64
	Cell      *Cell
	Seq       uint64 // of Cell.Proposed
	Mutations []storage.Mutation
	Tell      []LaneMessage
	Claims    []Claim // Device empty: disown
	App, User string
	// Due is when the user wants a Wake; zero = never.
	Due     time.Time
	SetsDue bool
	Erased  bool
	Tells   bool // among the mutations are events for a webhook
	// Known: it only answers, and all that it tells was durable. The shard is to
	// confirm that this was so after it was made.
	Known bool
	Done  func(actors.Reply)
	Reply actors.Reply
	// Envelope is what Done answers; nil when that is no envelope.
	Envelope *actors.Envelope
}

// Owed: a step answers an admitted command.
func (*Step) Owed() {}

// IgnoreDeadLetterLogging keeps records and pushes out of the log.
func (*Step) IgnoreDeadLetterLogging() {}

// LaneMessage waits for the commit; one of the last three is set.
type LaneMessage struct {
	Lane     *lane.Lane
	Dispatch *lane.Dispatch // holds a place in the lane
	Cancel   *lane.Cancel
	// Ended comes back to the user: the push never got as far as its lane.
	Ended *lane.Ended
}

// Fail ends a step whose commit failed: nothing of it happened.
func (s *Step) Fail(err *rousev1.Error) {
	s.release()
	s.answer(err)
}

// Return ends a step that cannot be committed here: its command may be tried
// again where the shard is led, or its caller is told err.
func (s *Step) Return(err *rousev1.Error) {
	s.release()
	if s.Envelope != nil && s.Envelope.Back != nil {
		s.Envelope.Back(s.Envelope)
		return
	}
	s.answer(err)
}

// release gives back the places of pushes that are not dispatched.
func (s *Step) release() {
	for _, t := range s.Tell {
		if t.Dispatch != nil {
			t.Lane.Release()
		}
	}
}

func (s *Step) answer(err *rousev1.Error) {
	if s.Done != nil {
		s.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED, Err: err})
	}
}

// Actor is the shell of one user. While idle it holds the encoded record only:
// decoding costs less than a microsecond, the decoded form three times the memory.
type Actor struct {
	app, user string
	home      *Home
	cell      *Cell
	record    string // as last decided; empty = unknown user
	pending   []*Pending
	// undurable is what was decided in steps that may not be committed: messages,
	// so that a repeat is known before the store knows it, and settings of
	// conversations, so that the next message heeds them.
	undurable []decided
	recent    recent
	due       bool // a Wake is wanted
	broken    bool // the record could not be read when the actor started
}

// decided is one of: a message, settings, or that all was erased.
type decided struct {
	seq    uint64
	p      *Pending
	set    *ConversationChange
	erased bool
}

// Props of user actors: one for all of them.
func Props(d *Deps) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &Actor{} },
		actor.WithMailbox(mailbox.Producer(cmp.Or(d.Mailbox, DefaultMailbox))), actor.WithDispatcher(mailbox.NewTurns()))
}

// Receive translates messages into commands.
func (a *Actor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *Activate:
		a.onActivate(c, m)
	case *actors.Envelope:
		a.guard(c, m.Done, func() { a.onEnvelope(c, m) })
		a.cell.Handled.Add(1)
	case *lane.Ended:
		a.guard(c, nil, func() { a.onEnded(c, m) })
		a.cell.Handled.Add(1)
	case *Wake:
		a.guard(c, nil, func() { a.step(c, Due{}, nil) })
		a.cell.Handled.Add(1)
	case *Reported:
		a.guard(c, m.Done, func() { a.onReported(c, m) })
		a.cell.Handled.Add(1)
	case *Released:
		a.guard(c, m.Done, func() { a.step(c, Release{Sum: m.Sum, BoundAt: m.BoundAt}, m.Done) })
		a.cell.Handled.Add(1)
	}
}

// Released tells a user that another bound his token. Done is called when he
// has given it up for good.
type Released struct {
	App, User string
	Sum       Sum
	BoundAt   int64 // unix ms
	Done      func(actors.Reply)
}

// Reject is answered by a later repeat.
func (r *Released) Reject() {
	r.Done(actors.Reply{Err: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_OVERLOADED, Temporary: true}})
}

// guard answers for a command that panics, so that no caller waits in vain and
// the actor lives on with what was decided before.
func (a *Actor) guard(_ actor.Context, done func(actors.Reply), f func()) {
	defer func() {
		if r := recover(); r != nil {
			a.home.Deps.Logger.Error("command of a user panicked", "app", a.app, "panic", r, "stack", string(debug.Stack()))
			if done != nil {
				done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED, Err: &rousev1.Error{
					Code: rousev1.ErrorCode_ERROR_CODE_INTERNAL, Message: "the command failed in the server; see its log",
				}})
			}
		}
	}()
	f()
}
