// Package route brings commands to the shards of their users, wherever these are
// led: to the local shard without detour, else as an actor.v1 Ask to the actor of
// the shard at its leader, which answers, or says who leads.
//
// An attempt that is turned away, undelivered or too long without an answer is
// repeated, inside one deadline: all that is asked can be repeated without harm.
// While nobody leads a shard its requests wait, in order. What is under way is
// bounded, in all and to each node. If this node cannot reach the leader, another
// node that can is asked to bring the request there.
package route

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

// Options of a Router. Those after Logger have a default.
type Options struct {
	System *actor.ActorSystem
	// Shards is their number; ShardOf is the one of an app's user, 1..Shards.
	Shards  uint16
	ShardOf func(app, user string) uint16
	// Local tells whether the shard takes commands on this node.
	Local func(shard uint16) bool
	// Deliver hands a command to its local shard. It must not block.
	Deliver func(*actors.Envelope)
	// Leader is the host:port where the leader of a shard takes actor messages, and
	// its term, as far as is known. What shards say themselves of a higher term goes
	// before it. It must not block.
	Leader func(shard uint16) (address string, term uint64, ok bool)
	// Cut tells that the connections between this node and an address have ended;
	// Relays are addresses of living nodes that may reach the leader of a shard when
	// this node does not, the likeliest first. Neither may block; nil = never, none.
	Cut    func(address string) bool
	Relays func(shard uint16) []string
	Logger *slog.Logger

	// Name of the process that takes the answers; "route" by default.
	Name string
	// MaxPending and MaxBytes bound what is under way at all, over which requests are
	// refused as overloaded; 65,536 and 128 MiB by default.
	MaxPending, MaxBytes int
	// Window and WindowBytes bound what is in flight to one node; 16,384 and 32 MiB.
	Window, WindowBytes int
	// Attempt is the least time of the first attempt, which has longer where answers
	// usually take longer; each further one has twice as long, up to 2 s; 250 ms by
	// default.
	Attempt time.Duration
	// Deadline of a command that has none, from Route on; 5 s by default.
	Deadline time.Duration
}

const (
	attemptMax = 2 * time.Second
	// Bounds of the pause before requests without a way are tried again.
	firstPause   = 10 * time.Millisecond
	longestPause = 100 * time.Millisecond
)

// MaxBody bounds an encoded command or response, in bytes: a message between nodes
// is a little longer, and the way between them takes up to 4 MiB.
const MaxBody = 3 << 20

// ShardName is the name of a shard's actor, on any node.
func ShardName(shard uint16) string { return fmt.Sprint("shard-", shard) }

// Router of one node. Its methods may be called from anywhere and never block,
// whatever the way to other nodes does. It is a prometheus.Collector.
type Router struct {
	o       Options
	encoder encoder
	back    func(*actors.Envelope)
	// underWay counts the requests of each shard that are not yet ended or handed to
	// the local shard: those that come later must not pass them by.
	underWay []atomic.Int32
	names    []string // of the shards' actors

	mu     sync.Mutex // never held over a call to anybody who may block
	state  *state
	here   line             // to the local shards
	out    map[string]*line // to other addresses; those with something to carry
	closed bool
	timer  *time.Timer
	armed  time.Time // when the timer goes off; zero = it does not
}

// New makes a router, which takes answers from then on. It fails when the system
// has a process of its name.
func New(o Options) (*Router, error) {
	if o.Name == "" {
		o.Name = "route"
	}
	l := limits{
		maxPending: o.MaxPending, maxBytes: o.MaxBytes, window: o.Window, windowBytes: o.WindowBytes,
		attempt: o.Attempt, attemptMax: attemptMax, pause: firstPause, pauseMax: longestPause, deadline: o.Deadline,
	}
	l.maxPending = min(l.maxPending, maxID/2)
	for _, d := range []struct {
		v        *int
		standard int
	}{{&l.maxPending, 1 << 16}, {&l.maxBytes, 128 << 20}, {&l.window, 1 << 14}, {&l.windowBytes, 32 << 20}} {
		if *d.v <= 0 {
			*d.v = d.standard
		}
	}
	if l.attempt <= 0 {
		l.attempt = 250 * time.Millisecond
	}
	if l.deadline <= 0 {
		l.deadline = 5 * time.Second
	}
	r := &Router{o: o, state: newState(l), out: map[string]*line{}, underWay: make([]atomic.Int32, int(o.Shards)+1), names: make([]string, int(o.Shards)+1)}
	for i := range r.names {
		r.names[i] = ShardName(uint16(i))
	}
	r.state.local, r.state.leader, r.state.self = o.Local, o.Leader, o.System.Address
	r.state.cut, r.state.relays = o.Cut, o.Relays
	if o.Cut == nil {
		r.state.cut = func(string) bool { return false }
	}
	if o.Relays == nil {
		r.state.relays = func(uint16) []string { return nil }
	}
	r.back = func(e *actors.Envelope) { r.submit(o.ShardOf(e.App, e.User), e, true) }
	if _, ok := o.System.ProcessRegistry.Add(inbox{r}, o.Name); !ok {
		return nil, fmt.Errorf("route: the actor system has a process %q already", o.Name)
	}
	return r, nil
}

// Route brings a command to the shard of its user. Its Done is called exactly
// once, with the answer of the user; with OVERLOADED when too much is under way;
// or with UNAVAILABLE when there was no answer until the deadline. That binds the
// router: what the local shard has is the shard's.
func (r *Router) Route(e *actors.Envelope) {
	shard := r.o.ShardOf(e.App, e.User)
	e.Back = r.back
	numbered(e)
	if r.free(shard) {
		r.o.Deliver(e)
		return
	}
	r.submit(shard, e, false)
}

// free tells that a request of the shard can go to it at once.
func (r *Router) free(shard uint16) bool {
	return r.o.Local(shard) && r.underWay[shard].Load() == 0
}

func (r *Router) submit(shard uint16, e *actors.Envelope, back bool) {
	ask, err := r.encoder.ask(shard, e)
	if err != nil {
		e.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED, Err: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, Message: err.Error()}})
		return
	}
	r.admit(&request{shard: shard, ask: ask, deadline: e.Deadline, envelope: e}, back)
}

// Ask brings a question that is no command to its shard. Either local is called,
// when the shard turns out to be led here, or done with the answer; once, from
// anywhere, so neither may block. Nobody may change ask from now on.
func (r *Router) Ask(ask *actorv1.Ask, local func(), done func(*actorv1.Answer)) {
	shard := uint16(ask.GetShard())
	if r.free(shard) {
		local()
		return
	}
	r.admit(&request{shard: shard, ask: ask, local: local, done: done}, false)
}

// Relay is Ask for another node, which sent ask because it cannot reach the leader
// (Ask.relay_ms). It goes to the leader alone, and nobody is asked to relay it again.
// What cannot be brought there is answered with a redirect to nobody.
func (r *Router) Relay(ask *actorv1.Ask, local func(), done func(*actorv1.Answer)) {
	r.admit(r.relayed(ask, local, done), false)
}

// Tell sends a message to the leader of a shard elsewhere. It is lost when there is
// none: whoever tells repeats it.
func (r *Router) Tell(shard uint16, m proto.Message) { r.tell(&request{shard: shard}, m) }

// Pass is Tell for another node, which cannot reach the leader.
func (r *Router) Pass(shard uint16, m proto.Message) {
	r.tell(&request{shard: shard, relayed: true}, m)
}

func (r *Router) tell(q *request, m proto.Message) {
	final := plant.On(plant.GuessIsFinal) // not within: the compiler leaves its name there
	r.step(func(s *state, now time.Time) {
		to, ok := s.lead(q.shard)
		if !ok || to == s.self() {
			return
		}
		next := s.next(q, to, now)
		// Who holds no replica of the shard only guesses who leads it, and is not told
		// better: whoever gets the message may pass it on, once.
		relay := !q.relayed
		if final && next == to {
			relay = false
		}
		switch m := m.(type) {
		case *actorv1.Claim:
			m.Relay = relay
		case *actorv1.ClaimAck:
			m.Relay = relay
		}
		s.effects = append(s.effects, effect{tell: m, to: next, shard: q.shard})
	})
}

// Leader is what the router knows of who leads a shard; an empty address = nothing.
func (r *Router) Leader(shard uint16) (address string, term uint64) {
	address, term, ok := r.o.Leader(shard)
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.state.ways[shard]; w != nil && w.hint.term > term {
		return w.hint.address, w.hint.term
	}
	if !ok {
		address = ""
	}
	return address, term
}

// PeerDown has all that is in flight to an address tried again at once: it will
// not be answered.
func (r *Router) PeerDown(address string) {
	r.step(func(s *state, now time.Time) { s.down(address, now) })
}

// Wake has the requests tried again that wait for a shard, or for an answer of a
// former leader: it may be another one now.
func (r *Router) Wake(shard uint16) {
	if r.underWay[shard].Load() == 0 {
		return
	}
	r.step(func(s *state, now time.Time) {
		s.moved(shard, now)
	})
}

// Close ends all that is under way, and all that comes later, as UNAVAILABLE.
func (r *Router) Close() {
	r.step(func(s *state, _ time.Time) {
		r.closed = true
		for _, q := range s.pending {
			s.end(q, closed)
		}
	})
	r.o.System.ProcessRegistry.Remove(&actor.PID{Id: r.o.Name})
}

func (r *Router) admit(q *request, back bool) {
	q.size = len(q.ask.GetCommand().GetBody()) + requestBytes
	r.underWay[q.shard].Add(1)
	r.step(func(s *state, now time.Time) {
		if r.closed {
			s.ends = append(s.ends, ending{q, closed})
			return
		}
		s.admit(q, back, now)
	})
}

// requestBytes is what a request takes besides its command, about.
const requestBytes = 512
