package bubble

import (
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/model"
)

// How a client asks again.
const (
	attemptTime = 6 * time.Second
	firstPause  = 20 * time.Millisecond
	longPause   = 2 * time.Second
	// patience is how long an event may go unanswered; then the run has failed.
	patience = 10 * time.Minute
)

// clients are the IM nodes and app servers. Events of one user are told in
// their order, each until it is answered.
type clients struct {
	e *Engine

	mu      sync.Mutex
	last    map[string]chan struct{} // by user, closed when the event before is answered
	streams map[string]*stream       // by IM node
	told    []told
}

// told is one event told to one user's actor.
type told struct {
	model.Call
	copy   int
	unsure bool // it was tried more than once: the answer may be that of a repeat
}

// stream is the lease of one incarnation of an IM node.
type stream struct {
	node    actors.Node
	granted chan struct{}
	down    chan struct{}
}

func newClients(e *Engine) *clients {
	return &clients{e: e, last: map[string]chan struct{}{}, streams: map[string]*stream{}}
}

// deliver an event as it is told now.
func (c *clients) deliver(d *simulations.Delivery, r *rand.Rand) {
	e := d.Event
	switch e.Kind {
	case simulations.IMUp:
		c.up(e)
	case simulations.IMDown:
		c.down(e)
	case simulations.Dead:
		if c.e.vendors.known(e.Vendor) {
			_ = c.e.vendors.fakes.Kill(e.Vendor, e.Token) // known, so it knows how
		}
	default:
		for _, user := range e.Users() {
			c.queue(user, d, rand.New(rand.NewPCG(r.Uint64(), 2)))
		}
	}
}

func (c *clients) queue(user string, d *simulations.Delivery, r *rand.Rand) {
	done := make(chan struct{})
	c.mu.Lock()
	before := c.last[user]
	c.last[user] = done
	s := c.streams[d.Event.Node]
	c.mu.Unlock()
	c.e.work.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		if s != nil {
			select {
			case <-s.granted:
			case <-s.down: // its last words
			}
		}
		c.tell(user, d, r)
	})
}

// tell an event until it is answered.
func (c *clients) tell(user string, d *simulations.Delivery, r *rand.Rand) {
	e := d.Event
	t := told{Call: model.Call{Event: e, User: user, Sent: c.e.now()}, copy: d.Copy}
	pause := firstPause
	for limit := time.Now().Add(patience); ; {
		m := &actors.Envelope{App: appID, User: user, Node: actors.Node{Name: e.Node, Incarnation: e.Incarnation}, Command: command(e, c.e.o.Start), Op: idOf(d)}
		reply, ok := c.ask(m, r)
		if ok && reply.Err == nil {
			t.Status = reply.Status
			break
		}
		if ok && !reply.Err.GetTemporary() {
			c.e.fault("event %d for %s: refused: %v", e.N, user, reply.Err)
			break
		}
		t.unsure = true
		if time.Now().After(limit) {
			c.e.fault("event %d for %s: no answer for %v; the last was %v", e.N, user, patience, reply.Err)
			break
		}
		if !c.e.pause(pause/2 + rand.N(pause)) {
			return
		}
		pause = min(2*pause, longPause)
	}
	t.Answered = c.e.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, t)
}

// command of an event; each attempt has its own.
func command(e *simulations.Event, start time.Time) proto.Message {
	switch e.Kind {
	case simulations.Bind:
		return e.BindRequest()
	case simulations.Unbind:
		return e.UnbindRequest()
	case simulations.Policy:
		return &rousev1.SetUserPolicyRequest{UserId: e.User, Policy: e.DevicePolicy()}
	case simulations.Erase:
		return &rousev1.EraseUserRequest{UserId: e.User}
	case simulations.Settings:
		if r := e.SettingsRequest(); r != nil {
			return r
		}
		return e.ConversationRequest()
	}
	switch k := e.Item(start).GetKind().(type) {
	case *rousev1.Event_Presence:
		return k.Presence
	case *rousev1.Event_Message:
		return k.Message
	case *rousev1.Event_Fetched:
		return k.Fetched
	case *rousev1.Event_Read:
		return k.Read
	case *rousev1.Event_Recall:
		return k.Recall
	}
	return nil
}

// idOf a delivery: the client package and the header of a call give all its attempts
// the same, and another one to a copy.
func idOf(d *simulations.Delivery) uint64 { return d.Event.N<<8 | uint64(d.Copy) }

// ask some node once; not ok = there was no answer.
func (c *clients) ask(m *actors.Envelope, r *rand.Rand) (reply actors.Reply, ok bool) {
	p := c.e.some(r)
	if p == nil {
		return reply, false
	}
	answered := make(chan actors.Reply, 1)
	m.Done = func(r actors.Reply) { answered <- r }
	p.node.Route(m)
	late := time.NewTimer(attemptTime)
	defer late.Stop()
	select {
	case reply = <-answered:
		if reply.Err != nil {
			c.e.secrets.look("answers", reply.Err.GetMessage())
		}
	case <-p.dead:
		return reply, false
	case <-late.C:
		return reply, false
	}
	select {
	case <-p.dead: // its last word did not arrive
		return reply, false
	default:
	}
	return reply, !p.m.frozen.Load()
}

func (c *clients) up(e *simulations.Event) {
	s := &stream{node: actors.Node{Name: e.Node, Incarnation: e.Incarnation}, granted: make(chan struct{}), down: make(chan struct{})}
	c.mu.Lock()
	c.streams[e.Node] = s
	c.mu.Unlock()
	c.e.work.Go(func() { c.live(s) })
}

func (c *clients) down(e *simulations.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[e.Node]; s != nil {
		close(s.down)
	}
}

// live gives signs of life of an IM node to any node, until it dies.
func (c *clients) live(s *stream) {
	first := true
	r := rand.New(rand.NewPCG(c.e.o.Seed, s.node.Incarnation))
	for {
		pause := c.e.o.Lease / 6
		if c.e.o.Pace > 1 {
			pause = c.e.o.Lease / 3
		}
		if p := c.e.some(r); p != nil {
			if c.grant(p, s) {
				if first {
					close(s.granted)
					first = false
				}
			} else {
				pause = 100 * time.Millisecond
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.down:
			timer.Stop()
			return
		case <-c.e.over:
			timer.Stop()
			return
		}
	}
}

// grant asks without waiting for ever: a node may be cut off.
func (c *clients) grant(p *process, s *stream) bool {
	done := make(chan error, 1)
	c.e.work.Go(func() { done <- p.node.Leases().Grant(appID, s.node, time.Now()) })
	late := time.NewTimer(time.Second)
	defer late.Stop()
	select {
	case err := <-done:
		return err == nil
	case <-late.C:
		return false
	case <-p.dead:
		return false
	}
}
