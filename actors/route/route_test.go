package route

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/memnet"
)

// pair is a router at one host and shards of a made-up kind at others.
type pair struct {
	t      *testing.T
	net    *memnet.Net
	sys    *actor.ActorSystem
	router *Router
	mu     sync.Mutex
	leader string // host; empty = nobody
	local  bool
	got    []string // messages that the local shard got
	asked  []*actorv1.Ask
}

func newSystem(t *testing.T, n *memnet.Net, host string) *actor.ActorSystem {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	if err := n.Host(host).Attach(sys, ":9000"); err != nil {
		t.Fatal(err)
	}
	return sys
}

// between runs f in fake time with a router at host "a", whose messages take 1 ms.
func between(t *testing.T, o Options, f func(t *testing.T, p *pair)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pair{t: t, net: memnet.New(memnet.Options{Latency: time.Millisecond})}
		p.sys = newSystem(t, p.net, "a")
		o.System, o.Shards, o.Logger = p.sys, 4, slog.New(slog.DiscardHandler)
		o.ShardOf = func(string, string) uint16 { return 1 }
		o.Local = func(uint16) bool { p.mu.Lock(); defer p.mu.Unlock(); return p.local }
		o.Leader = func(uint16) (string, uint64, bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.net.Host(p.leader).Addr(9000), 1, p.leader != ""
		}
		o.Deliver = func(e *actors.Envelope) {
			p.mu.Lock()
			p.got = append(p.got, e.Command.(*rousev1.MessageEvent).GetMessageId())
			p.mu.Unlock()
			e.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED})
		}
		var err error
		if p.router, err = New(o); err != nil {
			t.Fatal(err)
		}
		f(t, p)
		p.router.Close()
		p.sys.Shutdown()
		<-time.After(time.Minute)
	})
}

// shard runs one at a host; answer says nothing with nil.
func (p *pair) shard(host string, answer func(*actorv1.Ask) *actorv1.Answer) *actor.ActorSystem {
	sys := newSystem(p.t, p.net, host)
	p.spawn(sys, answer)
	return sys
}

func (p *pair) spawn(sys *actor.ActorSystem, answer func(*actorv1.Ask) *actorv1.Answer) {
	_, err := sys.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*actorv1.Ask); ok {
			p.mu.Lock()
			p.asked = append(p.asked, m)
			p.mu.Unlock()
			if a := answer(m); a != nil {
				a.Id = m.GetId()
				c.Respond(a)
			}
		}
	}), ShardName(1))
	if err != nil {
		p.t.Fatal(err)
	}
}

func accept(*actorv1.Ask) *actorv1.Answer {
	return &actorv1.Answer{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED}
}

func silent(*actorv1.Ask) *actorv1.Answer { return nil }

func (p *pair) lead(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leader = host
}

// route sends an event; the channel gets the reply, and a second one fails the test.
func (p *pair) route(id string) <-chan actors.Reply {
	c := make(chan actors.Reply, 1)
	p.router.Route(&actors.Envelope{App: "app", User: "ann", Command: &rousev1.MessageEvent{MessageId: id}, Done: func(r actors.Reply) {
		select {
		case c <- r:
		default:
			p.t.Errorf("%s was answered twice", id)
		}
	}})
	return c
}

// wait checks when a reply comes, counted from start, and with which error code.
func wait(t *testing.T, c <-chan actors.Reply, start time.Time, after time.Duration, code rousev1.ErrorCode) {
	t.Helper()
	r := <-c
	if got := r.Err.GetCode(); got != code || code != 0 && !r.Err.GetTemporary() {
		t.Errorf("answer %+v", r)
	}
	if d := time.Since(start); d != after {
		t.Errorf("answered after %v, want %v", d, after)
	}
}

const ms = time.Millisecond

func TestAskTheLeader(t *testing.T) {
	between(t, Options{}, func(t *testing.T, p *pair) {
		response := &rousev1.GetOfflineCountResponse{Count: 7}
		body, err := proto.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		sys := p.shard("b", func(q *actorv1.Ask) *actorv1.Answer {
			if q.GetUser() == "odd" {
				return &actorv1.Answer{Response: &actorv1.Command{Type: "rouse.actor.v1.Ask"}}
			}
			return &actorv1.Answer{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED, Response: &actorv1.Command{Type: "rouse.v1.GetOfflineCountResponse", Body: body}}
		})
		p.lead("b")
		c := make(chan actors.Reply, 1)
		p.router.Route(&actors.Envelope{
			App: "app", User: "ann", Node: actors.Node{Name: "im", Incarnation: 3}, Stopped: true,
			Command: &rousev1.MessageEvent{MessageId: "m", Recipients: []string{"ann", "bob"}, Sender: "carl"}, Done: func(r actors.Reply) { c <- r },
		})
		if r := <-c; r.Err != nil || !proto.Equal(r.Response, response) {
			t.Errorf("reply %+v", r)
		}
		q := p.asked[0]
		var e rousev1.MessageEvent
		if err := proto.Unmarshal(q.GetCommand().GetBody(), &e); err != nil || e.GetSender() != "carl" || len(e.GetRecipients()) != 0 {
			t.Errorf("%v, %v", &e, err)
		}
		if x := q.GetCommand(); q.GetApp() != "app" || q.GetUser() != "ann" || q.GetShard() != 1 || x.GetNode() != "im" || x.GetIncarnation() != 3 || !x.GetStopped() {
			t.Errorf("asked %v", q)
		}
		p.router.Route(&actors.Envelope{App: "app", User: "odd", Command: &rousev1.GetOfflineCountRequest{}, Done: func(r actors.Reply) { c <- r }})
		if r := <-c; r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_INTERNAL {
			t.Errorf("an answer of another package: %+v", r)
		}
		sys.Shutdown()
	})
}

// An event for many is encoded once, and not with other events' bytes.
func TestEncodeOnce(t *testing.T) {
	var e encoder
	m := &rousev1.MessageEvent{MessageId: "m", Recipients: []string{"a", "b"}}
	body := func(c proto.Message) []byte {
		q, err := e.ask(1, &actors.Envelope{Command: c})
		if err != nil {
			t.Fatal(err)
		}
		return q.GetCommand().GetBody()
	}
	first, second := body(m), body(m)
	if &first[0] != &second[0] || len(m.GetRecipients()) != 2 {
		t.Error("it was encoded twice, or changed")
	}
	if other := body(&rousev1.MessageEvent{MessageId: "n"}); slices.Equal(other, first) {
		t.Error("another event has its bytes")
	}
	if _, err := e.ask(1, &actors.Envelope{Command: &rousev1.MessageEvent{MessageId: "\xff"}}); err == nil {
		t.Error("what cannot be encoded was")
	}
}

// Nobody leads: requests wait, no longer than their deadline; a word that there is
// a leader wakes them at once.
func TestNoLeader(t *testing.T) {
	between(t, Options{}, func(t *testing.T, p *pair) {
		start := time.Now()
		wait(t, p.route("m1"), start, 5*time.Second, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
		c := make(chan actors.Reply, 1)
		start = time.Now()
		p.router.Route(&actors.Envelope{User: "ann", Deadline: start.Add(70 * ms), Command: &rousev1.MessageEvent{}, Done: func(r actors.Reply) { c <- r }})
		wait(t, c, start, 70*ms, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)

		start = time.Now()
		sys := p.shard("b", accept)
		m2, m3 := p.route("m2"), p.route("m3")
		<-time.After(33 * ms)
		p.lead("b")
		p.router.Wake(1)
		wait(t, m2, start, 35*ms, 0)
		wait(t, m3, start, 35*ms, 0)
		sys.Shutdown()
	})
}

// An address where nobody is, or no such actor, is tried again until there is one.
func TestUndelivered(t *testing.T) {
	between(t, Options{}, func(t *testing.T, p *pair) {
		sys := newSystem(t, p.net, "b")
		p.lead("b")
		start := time.Now()
		m := p.route("m1")
		<-time.After(25 * ms)
		p.spawn(sys, accept)
		r := <-m
		if d := time.Since(start); r.Err != nil || d > 60*ms {
			t.Errorf("%+v after %v", r, d)
		}
		if n := testutil.ToFloat64(counter(t, p, "undelivered")); n < 1 || n > 4 {
			t.Errorf("%v attempts were undelivered", n)
		}
		sys.Shutdown()
	})
}

func counter(t *testing.T, p *pair, event string) prometheus.Collector {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(p.router)
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == "rouse_route_attempts_total" && m.GetLabel()[0].GetValue() == event {
				g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "x"})
				g.Set(m.GetCounter().GetValue())
				return g
			}
		}
	}
	t.Fatal("no such counter")
	return nil
}

// A leader that does not answer holds requests up for one attempt; when it is
// known to be down, for none.
func TestSilentLeader(t *testing.T) {
	between(t, Options{}, func(t *testing.T, p *pair) {
		b, c := p.shard("b", silent), p.shard("c", accept)
		p.lead("b")
		start := time.Now()
		m1 := p.route("m1")
		<-time.After(100 * ms)
		p.lead("c")
		wait(t, m1, start, 252*ms, 0)

		p.lead("b")
		start = time.Now()
		m2, m3 := p.route("m2"), p.route("m3")
		<-time.After(10 * ms)
		p.lead("c")
		p.router.PeerDown(p.net.Host("b").Addr(9000))
		wait(t, m2, start, 12*ms, 0)
		wait(t, m3, start, 12*ms, 0)
		b.Shutdown()
		c.Shutdown()
	})
}

// An answer that is lost is asked for again; one that is late ends the request, and
// its repeat is not told.
func TestLostAndLateAnswers(t *testing.T) {
	between(t, Options{}, func(t *testing.T, p *pair) {
		n := 0
		sys := p.shard("b", func(q *actorv1.Ask) *actorv1.Answer {
			if n++; n == 1 {
				return nil
			}
			return accept(q)
		})
		p.lead("b")
		start := time.Now()
		wait(t, p.route("m1"), start, 252*ms, 0)
		p.net.Freeze("b")
		m2 := p.route("m2")
		<-time.After(400 * ms)
		p.net.Thaw("b")
		if r := <-m2; r.Err != nil {
			t.Errorf("%+v", r)
		}
		<-time.After(time.Second) // all repeats are answered; route fails the test for a second reply
		sys.Shutdown()
	})
}

// Over the window of a node requests are refused at once, and not only then.
func TestWindowIsFull(t *testing.T) {
	between(t, Options{Window: 3}, func(t *testing.T, p *pair) {
		sys := p.shard("b", silent)
		p.lead("b")
		start := time.Now()
		var flying []<-chan actors.Reply
		for i := range 3 {
			flying = append(flying, p.route(fmt.Sprint("m", i)))
		}
		wait(t, p.route("over"), start, 0, rousev1.ErrorCode_ERROR_CODE_OVERLOADED)
		for _, c := range flying {
			wait(t, c, start, 5*time.Second, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
		}
		sys.Shutdown()
	})
	between(t, Options{MaxPending: 2}, func(t *testing.T, p *pair) {
		start := time.Now()
		waits := []<-chan actors.Reply{p.route("m1"), p.route("m2")}
		wait(t, p.route("over"), start, 0, rousev1.ErrorCode_ERROR_CODE_OVERLOADED)
		p.router.Close()
		for _, c := range append(waits, p.route("after the end")) {
			wait(t, c, start, 0, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
		}
	})
}

// Commands of one caller for one user keep their order, when they wait for a
// leader, go elsewhere, and come home.
func TestOrderIsKept(t *testing.T) {
	between(t, Options{}, func(t *testing.T, p *pair) {
		sys := p.shard("b", accept)
		var want []string
		for i := range 400 {
			switch i {
			case 100:
				<-time.After(15 * ms)
				p.lead("b")
			case 200:
				<-time.After(50 * ms)
				p.lead("a") // this node, whose shard is not ready
			case 300:
				p.mu.Lock()
				p.local = true
				p.mu.Unlock()
			}
			id := fmt.Sprint("m", i)
			want = append(want, id)
			p.route(id)
		}
		<-time.After(time.Second)
		p.mu.Lock()
		defer p.mu.Unlock()
		var got []string
		for _, q := range p.asked {
			var e rousev1.MessageEvent
			if err := proto.Unmarshal(q.GetCommand().GetBody(), &e); err != nil {
				t.Fatal(err)
			}
			got = append(got, e.GetMessageId())
		}
		if !slices.Equal(append(got, p.got...), want) {
			t.Errorf("%d commands elsewhere and %d here, not in order", len(got), len(p.got))
		}
		sys.Shutdown()
	})
}

// Questions of shards go the same way as commands.
func TestAskAndTell(t *testing.T) {
	between(t, Options{}, func(t *testing.T, p *pair) {
		told := make(chan *actorv1.Claim, 1)
		sys := newSystem(t, p.net, "b")
		_, err := sys.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actorv1.Claim:
				told <- m
			case *actorv1.Ask:
				c.Respond(&actorv1.Answer{Id: m.GetId(), Status: 2})
			}
		}), ShardName(1))
		if err != nil {
			t.Fatal(err)
		}
		p.router.Tell(1, &actorv1.Claim{Kind: 9}) // nobody leads: it is lost
		p.lead("b")
		p.router.Tell(1, &actorv1.Claim{Kind: 1})
		if m := <-told; m.GetKind() != 1 {
			t.Errorf("told %v", m)
		}
		local, done := make(chan bool, 1), make(chan *actorv1.Answer, 1)
		ask := func() {
			p.router.Ask(&actorv1.Ask{Shard: 1, Body: &actorv1.Ask_Released{}}, func() { local <- true }, func(a *actorv1.Answer) { done <- a })
		}
		ask()
		if a := <-done; a.GetStatus() != 2 || len(local) != 0 {
			t.Errorf("answer %v", a)
		}
		p.mu.Lock()
		p.local = true
		p.mu.Unlock()
		ask()
		if !<-local || len(done) != 0 {
			t.Error("it was not handed to the local shard")
		}
		sys.Shutdown()
	})
}

func TestNameIsTaken(t *testing.T) {
	sys := actor.NewActorSystem()
	defer sys.Shutdown()
	if _, err := New(Options{System: sys}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{System: sys}); err == nil {
		t.Error("two routers have one name")
	}
	if _, err := New(Options{System: sys, Name: "route-2"}); err != nil {
		t.Error(err)
	}
}
