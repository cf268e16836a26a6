// Package meta brings questions to the node that leads the meta group, and
// answers them there: calls of administrators, blocks of daily quotas, shares of
// rates, leases of IM nodes, admission of nodes. Some questions go to a node by
// name: searches of its shards and its report.
//
// Each node has one actor "meta", which takes MetaAsk and MetaAnswer. Who asks
// waits in a goroutine of his own; how many may is bounded.
package meta

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rouse-im/rouse/actors/mailbox"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Name of the actor on every node.
const Name = "meta"

const (
	// maxPending bounds the questions of this node that wait for an answer; more
	// are refused as OVERLOADED.
	maxPending = 4096
	// maxServed bounds the questions of all nodes that are worked on here at the
	// same time and may take long; more are refused as OVERLOADED.
	maxServed = 64
	// mailboxBound is for questions that have not had their turn; more become dead
	// letters, and who asked asks again or gives up.
	mailboxBound = 8192
	// attemptTime is how long an answer to a question that may be repeated is
	// waited for at first; it doubles up to attemptMax.
	attemptTime = time.Second
	attemptMax  = 8 * time.Second
	// firstPause passes when nobody is known to lead; it doubles up to maxPause.
	firstPause = 20 * time.Millisecond
	maxPause   = 500 * time.Millisecond
	// maxRedirects are followed without a pause.
	maxRedirects = 3
	// defaultTime is for questions without a deadline, and for answers that take long.
	defaultTime = 30 * time.Second
)

// Options of an Asker. What is not marked as optional must be given.
type Options struct {
	System *actor.ActorSystem
	// Leads tells whether this node leads the meta group, with all earlier entries
	// applied. nil = it always does.
	Leads func() bool
	// Leader is the address of the actors of the node that leads the meta group, as
	// far as is known; empty = not known. nil = there are no other nodes.
	Leader func() string
	// Cut tells that the connections to an address have ended; Relays are addresses of
	// nodes that may reach the leader all the same, the likeliest first. nil = never, none.
	Cut    func(address string) bool
	Relays func() []string
	// Applied is the index up to which this node has applied the meta group; nil =
	// answers do not wait for what they changed to be seen here.
	Applied  func() uint64
	Handlers Handlers
	Logger   *slog.Logger
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

// Asker asks for this node and answers others. Its methods may be called
// concurrently.
type Asker struct {
	o      Options
	self   *actor.PID
	life   context.Context
	end    context.CancelFunc
	served chan struct{} // one entry for each long answer under way
	work   sync.WaitGroup
	count  *prometheus.CounterVec

	mu      sync.Mutex
	last    uint64 // id of a question; begins at random, so that no answer to an earlier process fits
	pending map[uint64]*attempt
}

// attempt is a question that was sent to a node.
type attempt struct {
	address string
	answers chan *actorv1.MetaAnswer // has room for one: the actor's turn never waits
	lost    chan struct{}            // closed when the node is gone
}

// Start spawns the actor of this node.
func Start(o Options) (*Asker, error) {
	a := &Asker{
		o: o, served: make(chan struct{}, maxServed), last: rand.Uint64(), pending: make(map[uint64]*attempt), //nolint:gosec // not a secret
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_meta_asks_total", Help: "Questions of this node about the meta group, by kind and end: answered, refused, silent, leaderless, overloaded.",
		}, []string{"kind", "end"}),
	}
	if a.o.Leads == nil {
		a.o.Leads = func() bool { return true }
	}
	if a.o.Leader == nil {
		a.o.Leader = func() string { return "" }
	}
	if a.o.Cut == nil {
		a.o.Cut = func(string) bool { return false }
	}
	if a.o.Relays == nil {
		a.o.Relays = func() []string { return nil }
	}
	if o.Metrics != nil {
		if err := o.Metrics.Register(a.count); err != nil {
			return nil, fmt.Errorf("meta: registering metrics: %w", err)
		}
	}
	a.life, a.end = context.WithCancel(context.Background())
	pid, err := o.System.Root.SpawnNamed(actor.PropsFromProducer(
		func() actor.Actor { return &shell{a} }, actor.WithMailbox(mailbox.Producer(mailboxBound)),
	), Name)
	if err != nil {
		a.end()
		return nil, fmt.Errorf("meta: starting the actor: %w", err)
	}
	a.self = pid
	return a, nil
}

// Stop answers nothing more, ends the questions under way and waits for them.
func (a *Asker) Stop() {
	a.mu.Lock() // an ask that saw no end has been counted in
	a.end()
	a.mu.Unlock()
	a.o.System.Root.Stop(a.self)
	a.work.Wait()
}

// Go is Ask without waiting: done is called once, from a goroutine of its own
// or, when too many wait, within the call; it must not block.
func (a *Asker) Go(ctx context.Context, timeout time.Duration, m *actorv1.MetaAsk, done func(*actorv1.MetaAnswer, error)) {
	a.mu.Lock()
	full, ended := len(a.pending) >= maxPending, a.life.Err() != nil
	if !full && !ended {
		a.work.Add(1)
	}
	a.mu.Unlock()
	if full || ended {
		done(nil, errOverloaded)
		return
	}
	go func() {
		defer a.work.Done()
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		done(a.Ask(ctx, m))
	}()
}

// Ask asks the leader of the meta group until ctx ends. A question that changes
// something is repeated only when it certainly was not answered yet; an error
// that is errUnknown leaves open what became of it.
func (a *Asker) Ask(ctx context.Context, m *actorv1.MetaAsk) (*actorv1.MetaAnswer, error) {
	return a.ask(ctx, "", m)
}

// ask is Ask; seed is an address of a node to begin with if no leader is known.
func (a *Asker) ask(ctx context.Context, seed string, m *actorv1.MetaAsk) (*actorv1.MetaAnswer, error) {
	ctx, cancel := a.bound(ctx)
	defer cancel()
	q := &question{MetaAsk: m, seed: seed, wait: attemptTime, pause: firstPause}
	for {
		answer, err := a.once(ctx, q)
		if err != nil {
			return nil, a.ended(m, err)
		}
		if unknown := answer.GetError().GetCode() == rousev1.ErrorCode_ERROR_CODE_DEADLINE; unknown && repeatable(m) {
			answer = nil // the leader lost its leadership in the midst of it
		}
		if answer != nil && answer.GetRedirect() == nil {
			if answer.GetError() != nil {
				return nil, a.ended(m, refused(answer.GetError()))
			}
			return answer, a.ended(m, nil)
		}
		if !q.follow(answer) && !sleep(ctx, q.rest()) {
			return nil, a.ended(m, errLeaderless)
		}
	}
}

// once makes one attempt; nil without an error = there was no answer and the
// question may be repeated.
func (a *Asker) once(ctx context.Context, q *question) (*actorv1.MetaAnswer, error) {
	address := cmp.Or(q.hint, a.o.Leader(), q.seed)
	q.hint = ""
	switch {
	case a.o.Leads():
		return a.here(ctx, q.MetaAsk)
	case address == "" || address == a.o.System.Address():
		return redirect(""), nil
	}
	next := a.next(address)
	q.round = next != address
	return a.attempt(ctx, next, q)
}

// AskNode asks the node whose actors are at address.
func (a *Asker) AskNode(ctx context.Context, address string, m *actorv1.MetaAsk) (*actorv1.MetaAnswer, error) {
	ctx, cancel := a.bound(ctx)
	defer cancel()
	var answer *actorv1.MetaAnswer
	var err error
	if address == a.o.System.Address() {
		answer, err = a.here(ctx, m)
	} else {
		answer, err = a.attempt(ctx, address, &question{MetaAsk: m, wait: defaultTime})
	}
	switch {
	case err == nil && answer == nil:
		err = errSilent
	case err == nil && answer.GetError() != nil:
		err = refused(answer.GetError())
	}
	return answer, a.ended(m, err)
}

// bound ends what is asked with the Asker, and in any case.
func (a *Asker) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, defaultTime)
	stop := context.AfterFunc(a.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// here answers a question of this node on this node.
func (a *Asker) here(ctx context.Context, m *actorv1.MetaAsk) (*actorv1.MetaAnswer, error) {
	answers := make(chan *actorv1.MetaAnswer, 1) // one value: who answers never waits
	a.serve(m, func(answer *actorv1.MetaAnswer) { answers <- answer })
	select {
	case answer := <-answers:
		return answer, nil
	case <-ctx.Done():
		return nil, errUnknown
	}
}

// attempt sends a question to a node and waits for the answer: as long as ctx
// allows, or less if the question may be repeated.
func (a *Asker) attempt(ctx context.Context, address string, q *question) (*actorv1.MetaAnswer, error) {
	at := &attempt{address: address, answers: make(chan *actorv1.MetaAnswer, 1), lost: make(chan struct{})}
	sent, ok := a.enter(q.MetaAsk, at, q.relay(ctx))
	if !ok {
		return nil, errOverloaded
	}
	defer a.leave(sent.GetId())
	a.o.System.Root.RequestWithCustomSender(actor.NewPID(address, Name), sent, a.self)
	again := repeatable(q.MetaAsk)
	var silence <-chan time.Time
	if again {
		timer := time.NewTimer(q.wait)
		defer timer.Stop()
		silence = timer.C
		q.wait = min(2*q.wait, attemptMax)
	}
	select {
	case answer := <-at.answers:
		return answer, nil
	case <-silence:
		return nil, nil //nolint:nilnil // see once
	case <-at.lost:
		if again {
			return nil, nil //nolint:nilnil // see once
		}
		return nil, errUnknown
	case <-ctx.Done():
		if again {
			return nil, errSilent
		}
		return nil, errUnknown
	}
}

// enter gives a copy of the question an id under which its answer is awaited.
func (a *Asker) enter(m *actorv1.MetaAsk, at *attempt, relay time.Duration) (*actorv1.MetaAsk, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pending) >= maxPending {
		return nil, false
	}
	a.last++
	a.pending[a.last] = at
	return &actorv1.MetaAsk{Id: a.last, Body: m.GetBody(), RelayMs: uint32(relay.Milliseconds())}, true
}

func (a *Asker) leave(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pending, id)
}

// answered takes an answer in; one that nobody waits for any more is dropped.
func (a *Asker) answered(m *actorv1.MetaAnswer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at := a.pending[m.GetId()]; at != nil {
		at.answers <- m // there is room for the first; delete sees to it that there is no second
		delete(a.pending, m.GetId())
	}
}

// PeerDown ends the wait for answers of the node whose actors are at address: it
// will not give them. What may be repeated is. It does not block.
func (a *Asker) PeerDown(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, at := range a.pending {
		if at.address == address {
			close(at.lost)
			delete(a.pending, id)
		}
	}
}

// question is one on its way.
type question struct {
	*actorv1.MetaAsk
	seed      string // asked if no leader is known
	hint      string // of the last redirect
	round     bool   // the attempt goes to a node that relays it
	redirects int    // followed without a pause
	wait      time.Duration
	pause     time.Duration
}

// follow goes where a redirect leads, a few times.
func (q *question) follow(answer *actorv1.MetaAnswer) bool {
	to := answer.GetRedirect().GetLeader()
	if to == "" || q.redirects >= maxRedirects {
		return false
	}
	q.hint = to
	q.redirects++
	return true
}

// rest is the pause before the next attempt.
func (q *question) rest() time.Duration {
	pause := q.pause
	q.pause, q.redirects = min(2*q.pause, maxPause), 0
	return pause
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// repeatable tells whether a question may be answered twice: then silence is no
// reason to give up. An order about the cluster says how it shall be. The rest changes something each time, or is of use for a
// moment only.
func repeatable(m *actorv1.MetaAsk) bool {
	switch m.GetBody().(type) {
	case *actorv1.MetaAsk_Grant, *actorv1.MetaAsk_Admit, *actorv1.MetaAsk_Trace, *actorv1.MetaAsk_Report, *actorv1.MetaAsk_Cluster:
		return true
	}
	return false
}
