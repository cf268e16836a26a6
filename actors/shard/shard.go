// Package shard runs the shards of one node. A shard is the only parent of the
// actors of its users, the only one that stops them, and the only writer of
// its keys: it gathers the mutations that its users decided on, has them
// committed many at a time, and only then lets replies, pushes and claims go.
//
// A shard works while this node leads it, under the term of that leadership,
// which its proposals name; else it has no users and says where the leader is.
//
// Users apply their decisions at once and go on deciding while the commit is
// under way. If a commit fails, every step after it is failed too, all users
// are stopped, and what they are comes from the store again: at once when
// nothing was written, else under the next leadership, before which all earlier
// entries have been applied.
package shard

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/lane"
	"github.com/rouse-im/rouse/actors/route"
	"github.com/rouse-im/rouse/actors/user"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/failpoint"
	"github.com/rouse-im/rouse/storage"
)

// Bounds of one shard. Over them commands are refused as overloaded.
const (
	defaultMailbox = 65536 // envelopes not yet routed
	queueBound     = 65536 // steps not yet committed or confirmed
	reportedBound  = 1024  // with more of them, receipts yield to the rest
	// One commit takes at most so much; what is queued goes into the next.
	batchRecords = 128
	batchBytes   = 64 << 10

	tickEvery = time.Second
)

// Options of the shards.
type Options struct {
	User *user.Deps
	// Propose commits mutations of one shard that is led under term and calls done
	// once: with nil when they are durable and can be read, with another error than
	// storage.ErrBusy, ErrTooLarge, ErrDropped and ErrClosed when this leadership is
	// over or its entry's fate is open.
	Propose func(shard uint16, term uint64, ms []storage.Mutation, done func(error))
	// Confirm calls done once: with nil when this node led the shard under term at
	// some time after the call, storage.ErrNotLeader when it does not any more,
	// storage.ErrBusy, or another error when that cannot be known now. nil = nobody
	// else can lead it: the store is not replicated.
	Confirm func(shard uint16, term uint64, done func(error))
	// Alone tells that nobody else can lead the shard while this node leads it under
	// term, so that there is nothing to confirm; with Confirm.
	Alone func(shard uint16, term uint64) bool
	// Router knows the way to shards that are led on other nodes; nil = there are
	// none.
	Router *route.Router
	// Began is called whenever a shard takes up work here: with each leadership, and
	// after each pause in one. It must not block; may be nil.
	Began func(shard uint16)
	// IdleAfter is how long a user's actor is kept without a message; 0 = 10 min.
	IdleAfter time.Duration
	// Mailbox is how many envelopes may wait to be routed; 0 = 65536.
	Mailbox int
	Logger  *slog.Logger
	Metrics *Metrics
}

// Actor of one shard.
type Actor struct {
	o     *Options
	id    uint16
	term  uint64   // of the leadership; 0 = led elsewhere
	epoch uint64   // rises whenever users are stopped: steps of an older one are void
	leave *leaving // nil = leadership is not about to be handed over
	set   *Set

	props *actor.Props
	home  *user.Home // of the users of this epoch; nil before the first
	users map[userKey]*child
	due   map[userKey]time.Time // users that want a Wake

	queue    []*user.Step
	inFlight []*user.Step // steps of the commit under way; nil = none is
	began    began        // of that commit
	unsure   unconfirmed
	intents  map[storage.Sum]*intent
	// owners are owner records of tokens that are decided and not yet durable.
	owners map[storage.Sum]ownerChange

	// unread is why the store could not be read when it had to be; nil = it was.
	// Nothing is decided until it can.
	unread   error
	swept    time.Time
	made     time.Time
	draining bool            // for good: the node ends
	drained  []chan struct{} // closed when nothing is left to do
	erasures erasures        // of the last minute, those not durable yet among them
	failed   int             // commits in a row that were certainly not written
}

type userKey struct{ app, user string }

// child is a user's actor as its shard sees it.
type child struct {
	user.Cell
	pid  *actor.PID
	sent uint32 // messages sent to it, modulo 2^32
	used uint32 // s since the actor was made, at the last one
}

// done says that the user has handled all it was sent, that all it decided is
// durable, and that its answers are with the shard.
func (c *child) done() bool {
	return c.Handled.Load() == c.sent && c.Settled() && c.Unsure.Load() == 0
}

// idle says that besides no push of his has yet to end.
func (c *child) idle() bool { return c.done() && c.Pending.Load() == 0 }

type (
	tick      struct{}
	committed struct {
		epoch uint64
		err   error
	}
	drain struct{ done chan struct{} }
)

// Owed: one commit is under way at a time.
func (*committed) Owed() {}

// Owed: sent once.
func (*drain) Owed() {}

func newActor(o *Options, id uint16, props *actor.Props, set *Set) *Actor {
	return &Actor{
		o: o, id: id, props: props, set: set, made: o.User.Now(),
		users: map[userKey]*child{}, due: map[userKey]time.Time{},
		intents: map[storage.Sum]*intent{}, owners: map[storage.Sum]ownerChange{},
	}
}

// Receive translates messages.
func (a *Actor) Receive(c actor.Context) {
	if _, ticks := c.Message().(tick); !ticks && a.set.rests[a.id-1].Load() > 0 {
		a.set.rests[a.id-1].Store(0)
	}
	switch m := c.Message().(type) {
	case *lead:
		a.onLead(c, m)
	case *lose:
		a.onLose(c, m)
	case *yield:
		a.onYield(c, m)
	case parted:
		a.onParted(c, m)
	case unpause:
		a.onUnpause(c, m)
	case look:
		a.onLook(c, m)
	case *actor.Stopping:
		a.disclaim(errOver)
		a.stopUsers(c)
	case *actors.Envelope:
		a.onEnvelope(c, m)
	case *actorv1.Ask:
		a.onAsk(c, m)
	case *actorv1.Claim:
		a.onClaim(c, m)
	case *actorv1.ClaimAck:
		a.onClaimAck(c, m)
	case *user.Step:
		a.onStep(c, m)
	case *committed:
		a.onCommitted(c, m)
	case *confirmed:
		a.onConfirmed(c, m)
	case *lane.Ended:
		a.onEnded(c, m)
	case *user.Released:
		a.onReleased(c, m)
	case *user.Reported:
		a.onReported(c, m)
	case *claimed:
		a.onClaimed(c, m)
	case *acked:
		a.onAcked(c, m)
	case tick:
		a.onTick(c)
	case *drain:
		failpoint.Hit("shard/drain")
		a.draining, a.drained = true, append(a.drained, m.done)
		a.checkDrained()
	}
}

// open: new work is taken on.
func (a *Actor) open() bool {
	return a.term != 0 && a.leave == nil && a.unread == nil && !a.draining
}

func (a *Actor) onEnvelope(c actor.Context, m *actors.Envelope) {
	switch {
	case a.term == 0 || a.leave != nil || a.draining && m.Back != nil:
		m.Return() // of a node that ends another one leads the shard in a moment
	case a.waiting() >= queueBound || !a.open():
		m.Reject()
	case a.erasures.carriedOut(m):
		a.erasedBefore(c, m)
	default:
		a.toUser(c, userKey{m.App, m.User}, m)
	}
}

// waiting are the steps that wait for a commit or for a confirmation.
func (a *Actor) waiting() int { return len(a.queue) + len(a.inFlight) + a.unsure.n() }

// onEnded: while leadership is handed over, users still take the ends of sends.
// The end of a push that was with its vendor when leadership was lost goes on to
// the next leader, which is about to send it again.
func (a *Actor) onEnded(c actor.Context, m *lane.Ended) {
	if a.term == 0 {
		a.elsewhere(m)
		return
	}
	a.toUser(c, userKey{m.App, m.User}, m)
}

func (a *Actor) onReleased(c actor.Context, m *user.Released) {
	switch {
	case a.term == 0 && a.elsewhere(m):
	case !a.open():
		m.Reject()
	default:
		a.toUser(c, userKey{m.App, m.User}, m)
	}
}

// toUser hands a message to a user, whose actor is started when there is none.
func (a *Actor) toUser(c actor.Context, k userKey, msg any) {
	u := a.users[k]
	if u == nil {
		u = a.activate(c, k, nil)
	}
	u.sent++
	u.used = a.seconds(a.o.User.Now())
	c.Send(u.pid, msg)
}

func (a *Actor) activate(c actor.Context, k userKey, outbox []user.Entry) *child {
	if a.home == nil || a.home.Epoch != a.epoch {
		a.home = &user.Home{Deps: a.o.User, Shard: a.id, To: c.Self(), Epoch: a.epoch}
		if term := a.term; a.o.Confirm != nil {
			a.home.Alone = func() bool { return a.o.Alone(a.id, term) }
		}
	}
	u := &child{pid: c.ActorSystem().Root.Spawn(a.props), used: a.seconds(a.o.User.Now())}
	a.users[k] = u
	a.o.Metrics.active.Inc()
	c.Send(u.pid, &user.Activate{App: k.app, User: k.user, Home: a.home, Cell: &u.Cell, Outbox: outbox})
	return u
}

func (a *Actor) onTick(c actor.Context) {
	now := a.o.User.Now()
	a.complain(now)
	switch {
	case a.term == 0:
		return // it was on its way when leadership was lost
	case a.leave != nil:
		a.checkLeft(c)
		if now.Sub(a.leave.since) >= leaveFor {
			a.resume(c)
		}
		return
	case a.unread != nil:
		a.reread(c)
	}
	for k, at := range a.due {
		if at.After(now) {
			continue
		}
		delete(a.due, k)
		if a.users[k] != nil {
			a.toUser(c, k, &user.Wake{})
		}
	}
	a.repeatIntents(now)
	defer a.doze(now)
	if idle := a.o.IdleAfter; now.Sub(a.swept) >= a.sweepEvery() {
		a.swept = now
		a.sweep(c, a.seconds(now), idle)
		a.dropOutcomes(c, now)
		a.forgetErasures(c, now)
	}
	a.checkDrained()
}

// seconds is the time that has passed since the actor was made.
func (a *Actor) seconds(now time.Time) uint32 { return uint32(now.Sub(a.made) / time.Second) } //nolint:gosec // 136 years

func (a *Actor) sweepEvery() time.Duration { return min(a.o.IdleAfter/4+time.Second, time.Minute) }

// longestDoze bounds the ticks that are left out in a row: after a step of the wall
// clock, by which users are woken, nothing is later by more.
const longestDoze = 10

// doze leaves out the ticks at which nothing is to be done, as far as is known now.
func (a *Actor) doze(now time.Time) {
	if a.unread != nil || len(a.intents) > 0 || len(a.drained) > 0 || a.waiting() > 0 {
		return
	}
	free := min(longestDoze*tickEvery, a.sweepEvery()-now.Sub(a.swept))
	for _, at := range a.due {
		free = min(free, at.Sub(now))
	}
	a.set.rests[a.id-1].Store(int32(max(0, free/tickEvery-1)))
}

// sweep stops the users without a message for longer than idle: the next message
// starts them again. Only an idle user is stopped, so no message and no decision is
// lost.
func (a *Actor) sweep(c actor.Context, now uint32, idle time.Duration) {
	for k, u := range a.users {
		if time.Duration(now-u.used)*time.Second > idle && u.idle() {
			failpoint.Hit("shard/before-passivation")
			c.ActorSystem().Root.Stop(u.pid)
			delete(a.users, k)
			a.o.Metrics.active.Dec()
		}
	}
}

// dropOutcomes removes the outcomes of days gone by and the steps that led to
// them, a whole day at a time.
func (a *Actor) dropOutcomes(c actor.Context, now time.Time) {
	first := storage.Day(now) - user.OutcomeDays
	for _, r := range []storage.Range{storage.OutcomeDays(a.id, 0, first), storage.TraceDays(a.id, 0, first)} {
		found := false
		err := a.o.User.Store.Scan(r, func(_, _ []byte) bool { found = true; return false })
		if err == nil && found {
			a.enqueue(c, &user.Step{Epoch: a.epoch, Mutations: []storage.Mutation{r.Delete()}})
		}
	}
}

func (a *Actor) checkDrained() {
	if len(a.drained) == 0 || a.waiting() > 0 || !a.settled() {
		return
	}
	for _, done := range a.drained {
		close(done)
	}
	a.drained = nil
}

// settled: users have handled all they were sent, and all they decided is durable.
func (a *Actor) settled() bool {
	for _, u := range a.users {
		if !u.done() {
			return false
		}
	}
	return true
}

func unavailable(err error) *rousev1.Error {
	return &rousev1.Error{
		Code: rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, Temporary: true,
		Message: "the store did not take the change (" + err.Error() + "); send the same item again later",
	}
}
