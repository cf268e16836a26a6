// Package mailbox is the actor.Mailbox of all our actors: bounded, without
// memory while empty, and never silent about a message that it does not deliver.
//
// A message that finds the queue full, or its actor stopped, is refused: its
// Reject method is called when it is a Rejecter, else it becomes a dead letter,
// which answers the asker, if any. What is still queued when the actor stops is
// refused the same way, so nothing that was posted waits for an answer that
// cannot come; RejectDeadLetters does it for what is sent later. Messages run in turns as in the library's own mailboxes: system
// messages first, user messages not while suspended, panics escalated.
package mailbox

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// Rejecter is a message that wants to know that it was not delivered. Reject is
// called once, in the goroutine of the poster or of the stopping actor, and
// must not block.
type Rejecter interface{ Reject() }

// returner is a Rejecter that tells a full mailbox from an actor that stopped:
// after the stop Return is called in place of Reject, under the same terms.
type returner interface{ Return() }

// Owed marks a message that answers something admitted before, or was admitted
// in another way: that admission is its bound, so it is never refused for
// fullness. After the stop it is refused like any other.
type Owed interface{ Owed() }

// Producer makes mailboxes that hold at most bound user messages, >= 1, besides
// the Owed ones.
func Producer(bound int) actor.MailboxProducer {
	return func() actor.Mailbox { return &box{bound: int32(bound)} }
}

type box struct {
	mu        sync.Mutex
	user, sys queue
	bound     int32
	started   bool // Start was called: turns may be scheduled
	running   bool // a turn is scheduled or under way
	suspended bool
	stopped   bool // the actor will receive nothing more
	invoker   actor.MessageInvoker
	disp      actor.Dispatcher
	// self is the registry's process of this actor: when the registry holds it
	// no more, the actor has stopped, whoever bears its name now.
	self actor.Process
}

// RegisterHandlers is called after the actor got its name, so messages may be
// waiting already; they are looked at from Start on.
func (b *box) RegisterHandlers(i actor.MessageInvoker, d actor.Dispatcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.invoker, b.disp = i, d
	b.self, _ = b.process()
}

func (b *box) Start() {
	b.mu.Lock()
	b.started = true
	b.wake()
}

func (b *box) UserMessageCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.user.n)
}

func (b *box) PostUserMessage(m any) {
	b.mu.Lock()
	if stopped := b.stopped; stopped || b.user.n >= b.bound && !unbounded(m) {
		b.mu.Unlock()
		b.refuse(m, stopped)
		return
	}
	b.user.push(m)
	b.wake()
}

func (b *box) PostSystemMessage(m any) {
	b.mu.Lock()
	b.sys.push(m)
	b.wake()
}

// unbounded tells whether m is admitted to a full queue.
func unbounded(m any) bool {
	switch actor.UnwrapEnvelopeMessage(m).(type) {
	case Owed, *actor.PoisonPill:
		return true
	}
	return false
}

// wake schedules a turn if there is work and none is under way, and unlocks.
func (b *box) wake() {
	start := b.started && !b.running && b.ready()
	b.running = b.running || start
	b.mu.Unlock()
	if start {
		b.disp.Schedule(b.run)
	}
}

// ready tells, under the lock, whether a message can be worked on.
func (b *box) ready() bool {
	return b.sys.n > 0 || b.user.n > 0 && (!b.suspended || b.stopped)
}

func (b *box) run() {
	spread(false)
	for b.turn() {
	}
}

// turn works until nothing is ready. It returns true when a panic was escalated
// and there may be more to do.
func (b *box) turn() (again bool) {
	var m any
	defer func() {
		if r := recover(); r != nil {
			b.noteStop()
			b.invoker.EscalateFailure(r, m)
			again = true
		}
	}()
	for n, most := 0, b.disp.Throughput(); ; n++ {
		if n > most {
			n = 0
			runtime.Gosched()
		}
		b.mu.Lock()
		if !b.ready() {
			b.running = false
			b.mu.Unlock()
			return false
		}
		if b.sys.n > 0 {
			m = b.sys.pop()
			b.mu.Unlock()
			b.system(m)
			continue
		}
		m = b.user.pop()
		stopped := b.stopped
		b.mu.Unlock()
		if stopped {
			b.refuse(m, true)
		} else {
			b.invoker.InvokeUserMessage(m)
		}
	}
}

func (b *box) system(m any) {
	switch m.(type) {
	case *actor.SuspendMailbox:
		b.suspend(true)
	case *actor.ResumeMailbox:
		b.suspend(false)
	case *actor.Stop, *actor.Terminated:
		b.invoker.InvokeSystemMessage(m)
		b.noteStop()
	default:
		b.invoker.InvokeSystemMessage(m)
	}
}

func (b *box) suspend(on bool) {
	b.mu.Lock()
	b.suspended = on
	b.mu.Unlock()
}

// noteStop marks the box when its actor left the registry. That happens within
// a Stop, or within the Terminated of its last child.
func (b *box) noteStop() {
	p, ok := b.process()
	if ok && p == b.self {
		return
	}
	b.mu.Lock()
	b.stopped = b.self != nil
	b.mu.Unlock()
}

// process looks up who bears the actor's name.
func (b *box) process() (actor.Process, bool) {
	c, ok := b.invoker.(actor.Context)
	if !ok {
		return nil, false
	}
	return c.ActorSystem().ProcessRegistry.GetLocal(c.Self().Id)
}

func (b *box) refuse(m any, stopped bool) {
	_, msg, sender := actor.UnwrapEnvelope(m)
	if reject(msg, stopped) {
		return
	}
	if c, ok := b.invoker.(actor.Context); ok {
		c.ActorSystem().EventStream.Publish(&actor.DeadLetterEvent{PID: c.Self(), Message: msg, Sender: sender})
	}
}

// reject tells a message that it was not delivered, if it wants to know.
func reject(m any, stopped bool) bool {
	if r, ok := m.(returner); ok && stopped {
		r.Return()
		return true
	}
	r, ok := m.(Rejecter)
	if ok {
		r.Reject()
	}
	return ok
}
