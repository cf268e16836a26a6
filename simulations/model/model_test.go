package model

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/oracle"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/world"
)

const (
	queued   = rousev1.Reason_REASON_QUEUED
	online   = rousev1.Reason_REASON_DEVICE_ONLINE
	accepted = rousev1.ItemStatus_ITEM_STATUS_ACCEPTED
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// script tells a model of events; times are ms.
type script struct {
	*Model
	n    uint64
	step uint64
}

func newScript() *script {
	s := &script{Model: New(Options{Start: start, Lease: 10 * time.Second, Release: 5 * time.Second})}
	s.at(0, 0, simulations.Event{Kind: simulations.IMUp, Node: "im-0", Incarnation: 1})
	return s
}

func (s *script) at(sent, answered simulations.Offset, e simulations.Event) *script {
	s.n++
	e.N, e.At = s.n, sent
	if e.User == "" {
		e.User = "ann"
	}
	if e.Node == "" {
		e.Node, e.Incarnation = "im-0", 1
	}
	s.Tell(Call{Event: &e, Sent: sent, Answered: answered, Status: rousev1.ItemStatus_ITEM_STATUS_UNSPECIFIED})
	return s
}

func (s *script) bind(at simulations.Offset, user, token string) *script {
	return s.at(at, at, simulations.Event{Kind: simulations.Bind, User: user, Device: "phone", Platform: "ios", Notifier: "ios", Token: token})
}

func (s *script) presence(sent, answered simulations.Offset, state simulations.State) *script {
	s.step++
	return s.at(sent, answered, simulations.Event{Kind: simulations.Presence, Device: "phone", State: state, Session: 1, Step: s.step, Platform: "ios"})
}

func (s *script) message(sent, answered simulations.Offset, id string) *script {
	return s.at(sent, answered, simulations.Event{Kind: simulations.Message, Message: id, From: "bob", To: []string{"ann"}})
}

func (s *script) reasons(t *testing.T, message string) (all []string) {
	t.Helper()
	for _, x := range s.Expect() {
		if x.Message != message || x.User != "ann" {
			continue
		}
		for _, e := range x.Either {
			var words []string
			for _, d := range e {
				words = append(words, d.String())
			}
			all = append(all, strings.Join(words, " "))
		}
	}
	slices.Sort(all)
	return all
}

func TestWhatMayBeDecided(t *testing.T) {
	const pushed1, pushed2, isOnline, noBinding = "{phone REASON_QUEUED badge 1}", "{phone REASON_QUEUED badge 2}", "{phone REASON_DEVICE_ONLINE}", "{phone REASON_NO_BINDING}"
	tests := []struct {
		name string
		tell func(*script)
		want []string
	}{
		{"offline", func(s *script) { s.bind(1, "ann", "t").message(10, 20, "m") }, []string{pushed1}},
		{"online", func(s *script) {
			s.bind(1, "ann", "t").presence(2, 3, simulations.Connected).message(10, 20, "m")
		}, []string{isOnline}},
		{"connects meanwhile", func(s *script) {
			s.bind(1, "ann", "t").message(10, 30, "m").presence(20, 40, simulations.Connected)
		}, []string{isOnline, pushed1}},
		{"connects afterwards", func(s *script) {
			s.bind(1, "ann", "t").message(10, 30, "m").presence(31, 40, simulations.Connected)
		}, []string{pushed1}},
		{"second message", func(s *script) { s.bind(1, "ann", "t").message(5, 6, "m0").message(10, 20, "m") }, []string{pushed2}},
		{"two at the same time", func(s *script) { s.bind(1, "ann", "t").message(5, 15, "m0").message(10, 20, "m") }, []string{pushed1, pushed2}},
		{"the first one read", func(s *script) {
			s.bind(1, "ann", "t").message(5, 6, "m0").at(7, 8, simulations.Event{Kind: simulations.Read, Messages: []string{"m0"}}).message(10, 20, "m")
		}, []string{pushed1}},
		{"the first one recalled", func(s *script) {
			s.bind(1, "ann", "t").message(5, 6, "m0").at(7, 8, simulations.Event{Kind: simulations.Recall, Message: "m0", To: []string{"ann"}}).message(10, 20, "m")
		}, []string{pushed1}},
		{"the first one edited", func(s *script) {
			s.bind(1, "ann", "t").message(5, 6, "m0").at(7, 8, simulations.Event{Kind: simulations.Recall, Message: "m0", Text: "x", To: []string{"ann"}}).message(10, 20, "m")
		}, []string{pushed2}},
		{"its IM node died long ago", func(s *script) {
			s.bind(1, "ann", "t").presence(2, 3, simulations.Connected).at(4, 4, simulations.Event{Kind: simulations.IMDown, User: "-"}).message(60_000, 60_001, "m")
		}, []string{pushed1}},
		{"its IM node died just now", func(s *script) {
			s.bind(1, "ann", "t").presence(2, 3, simulations.Connected).at(4, 4, simulations.Event{Kind: simulations.IMDown, User: "-"}).message(2_000, 2_001, "m")
		}, []string{isOnline, pushed1}},
		{"its IM node died, and its lease stayed", func(s *script) {
			s.o.Stays = []Stay{{1, 3}, {9_000, 19_000}, {30_000, 40_000}}
			s.bind(1, "ann", "t").presence(2, 3, simulations.Connected).at(4, 4, simulations.Event{Kind: simulations.IMDown, User: "-"})
			s.message(18_000, 18_001, "m")
		}, []string{isOnline, pushed1}},
		{"its IM node died, and its lease stayed for a while", func(s *script) {
			s.o.Stays = []Stay{{1, 3}, {9_000, 19_000}, {30_000, 40_000}}
			s.bind(1, "ann", "t").presence(2, 3, simulations.Connected).at(4, 4, simulations.Event{Kind: simulations.IMDown, User: "-"})
			s.message(31_000, 31_001, "m")
		}, []string{pushed1}},
		{"token just taken by another", func(s *script) { s.bind(1, "ann", "t").bind(10, "bob", "t").message(1000, 1001, "m") }, []string{noBinding, pushed1}},
		{"token taken by another long ago", func(s *script) { s.bind(1, "ann", "t").bind(10, "bob", "t").message(10_000, 10_001, "m") }, []string{noBinding}},
		{"token called invalid", func(s *script) {
			s.bind(1, "ann", "t")
			s.Dropped("ios", "t", 5, 9)
			s.message(10, 11, "m")
		}, []string{noBinding}},
		{"window begins meanwhile", func(s *script) {
			s.bind(1, "ann", "t").at(2, 3, simulations.Event{Kind: simulations.Settings, Wish: &simulations.Wish{QuietStart: 1, QuietEnd: 60}}).message(59_000, 61_000, "m")
		}, []string{"{phone REASON_QUEUED badge 1}", "{phone REASON_QUIET_WINDOW}"}},
		{"muted group", func(s *script) {
			s.bind(1, "ann", "t").at(2, 3, simulations.Event{Kind: simulations.Settings, Group: "g", Wish: &simulations.Wish{Mode: "none"}})
			s.at(5, 6, simulations.Event{Kind: simulations.Message, Message: "m", From: "bob", To: []string{"ann"}, Group: "g", GroupSize: 3})
		}, []string{"{phone REASON_MODE_NONE}"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScript()
			test.tell(s)
			if got := s.reasons(t, "m"); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if len(s.Lost()) > 0 {
				t.Errorf("lost %v", s.Lost())
			}
		})
	}
}

// The answer tells in which order two presences were taken.
func TestAnswersSettleTheOrder(t *testing.T) {
	for status, want := range map[rousev1.ItemStatus]string{accepted: "{phone REASON_QUEUED badge 1}", rousev1.ItemStatus_ITEM_STATUS_STALE: "{phone REASON_DEVICE_ONLINE}"} {
		s := newScript().bind(1, "ann", "t")
		presence := func(sent, answered simulations.Offset, state simulations.State, session uint64, status rousev1.ItemStatus) {
			s.n++
			s.Tell(Call{Event: &simulations.Event{N: s.n, Kind: simulations.Presence, User: "ann", Device: "phone", State: state, Session: session, Node: "im-0", Incarnation: 1}, Sent: sent, Answered: answered, Status: status})
		}
		// Session 2 ends and begins; session 1 ends late.
		if status == accepted {
			presence(10, 20, simulations.Disconnected, 2, accepted)
		} else {
			presence(10, 20, simulations.Connected, 2, accepted)
		}
		presence(12, 22, simulations.Disconnected, 1, status)
		s.message(30, 31, "m")
		if got := s.reasons(t, "m"); !slices.Equal(got, []string{want}) {
			t.Errorf("%v: got %v, want %s", status, got, want)
		}
	}
	s := newScript().bind(1, "ann", "t").presence(2, 3, simulations.Connected)
	s.Tell(Call{Event: &simulations.Event{N: 9, Kind: simulations.Presence, User: "ann", Device: "phone", State: simulations.Background, Session: 5, Node: "im-0", Incarnation: 1}, Sent: 10, Answered: 11, Status: rousev1.ItemStatus_ITEM_STATUS_STALE})
	s.Expect()
	if why := s.Lost()["ann"]; !strings.Contains(why, "event 9") || !strings.Contains(why, "no order") {
		t.Errorf("an answer that no order explains: %q", why)
	}
}

func TestAllows(t *testing.T) {
	one := Expectation{Event: 7, User: "ann", Message: "m", Either: [][]Decision{{{"phone", queued, 1}}}}
	if err := one.Allows([]Decision{{"phone", queued, 1}}); err != nil {
		t.Error(err)
	}
	if err := one.Allows([]Decision{{"phone", queued, 2}}); err == nil || !strings.Contains(err.Error(), "event 7") {
		t.Errorf("a wrong badge: %v", err)
	}
	two := Expectation{Either: [][]Decision{{{"phone", queued, 1}}, {{"phone", online, -1}}}}
	if err := two.Allows([]Decision{{"phone", online, -1}}); err != nil {
		t.Error(err)
	}
	if err := two.Allows(nil); err == nil || !strings.Contains(err.Error(), "one of") {
		t.Errorf("no decision: %v", err)
	}
	if err := (&Expectation{}).Allows(nil); err != nil {
		t.Error(err)
	}
}

// Whatever order an engine takes concurrent events in, the model allows what the
// rules say for that order.
func TestEveryOrderIsAllowed(t *testing.T) {
	sure, unsure := 0, 0
	for seed := range uint64(8) {
		s, err := scenarios.Load("small")
		if err != nil {
			t.Fatal(err)
		}
		w, err := world.New(s, seed)
		if err != nil {
			t.Fatal(err)
		}
		a, b := inOrder(t, s, seed, slices.Collect(w.Events()))
		sure, unsure = sure+a, unsure+b
	}
	t.Logf("%d decisions have one right answer, %d more", sure, unsure)
	if sure < 1000 || unsure < 10 {
		t.Errorf("%d decisions are sure and %d unsure: the worlds do not reach both", sure, unsure)
	}
}

func inOrder(t *testing.T, s *scenarios.Scenario, seed uint64, events []simulations.Event) (sure, unsure int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 5))
	m := New(Options{Start: s.Start, Lease: time.Second, Release: time.Second})
	type taken struct {
		Call
		at simulations.Offset
	}
	var all []taken
	for i := range events {
		e := &events[i]
		sent := e.At + simulations.Offset(r.IntN(20))
		c := taken{Call: Call{Event: e, Sent: sent, Answered: sent + simulations.Offset(r.IntN(3000))}}
		if e.Kind == simulations.IMUp || e.Kind == simulations.IMDown {
			c.Sent, c.Answered = e.At, e.At
		}
		c.at = c.Sent + simulations.Offset(r.Int64N(int64(c.Answered-c.Sent+1)))
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b taken) int { return cmp.Compare(a.Sent, b.Sent) })
	for _, c := range all {
		m.Tell(c.Call)
	}
	slices.SortStableFunc(all, func(a, b taken) int { return cmp.Compare(a.at, b.at) })
	engine := newEngine(m, s.Start)
	for _, c := range all {
		engine.take(c.at, c.Event)
	}
	for _, x := range m.Expect() {
		if err := x.Allows(engine.decided[[2]string{x.User, x.Message}]); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		switch {
		case len(x.Either) > 1:
			unsure++
		case x.Sure():
			sure++
		}
	}
	return sure, unsure
}

// engine takes events one after the other, at once, by the rules alone.
type engine struct {
	m       *Model
	start   time.Time
	users   map[string]*oracle.User
	owner   map[[2]string]string
	decided map[[2]string][]Decision
}

func newEngine(m *Model, start time.Time) *engine {
	return &engine{m: m, start: start, users: map[string]*oracle.User{}, owner: map[[2]string]string{}, decided: map[[2]string][]Decision{}}
}

func (x *engine) take(at simulations.Offset, e *simulations.Event) {
	for _, id := range e.Users() {
		u := x.users[id]
		if u == nil {
			u = x.m.newUser(id)
			x.users[id] = u
		}
		x.m.leases(u, at, false)
		if e.Kind == simulations.Message {
			if all, repeat := x.m.decide(u, at, e); !repeat {
				x.decided[[2]string{id, e.Message}] = all
			}
			continue
		}
		if e.Kind == simulations.Bind {
			key := [2]string{e.Notifier, e.Token}
			if former := x.owner[key]; former != "" && former != id {
				release(x.users[former], e.Notifier, e.Token)
			}
			x.owner[key] = id
		}
		x.m.change(u, Call{Event: e, Sent: at, Answered: at})
	}
}

// Models of parts of the users say together what one of all users says.
func TestPartsOfTheUsers(t *testing.T) {
	s, err := scenarios.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	say := func(of func(user string) bool, events []simulations.Event) ([]Expectation, map[string]string) {
		r := rand.New(rand.NewPCG(3, 7))
		m := New(Options{Start: s.Start, Lease: time.Second, Release: time.Second, Of: of})
		for i := range events {
			m.Tell(Call{Event: &events[i], Sent: events[i].At, Answered: events[i].At + simulations.Offset(r.IntN(4000))})
		}
		return m.Expect(), m.Lost()
	}
	events := slices.Collect(w.Events())
	all, lost := say(nil, events)
	inA := func(user string) bool { return user[len(user)-1]%2 == 0 }
	a, lostA := say(inA, events)
	b, lostB := say(func(user string) bool { return !inA(user) }, events)
	if len(a) == 0 || len(b) == 0 || len(lostA) == 0 || len(lostB) == 0 {
		t.Fatalf("%d and %d expectations, %d and %d users lost: the parts reach too little", len(a), len(b), len(lostA), len(lostB))
	}
	both := slices.SortedStableFunc(slices.Values(slices.Concat(a, b)), func(x, y Expectation) int {
		return cmp.Or(cmp.Compare(x.User, y.User), cmp.Compare(x.Event, y.Event))
	})
	if !reflect.DeepEqual(both, all) {
		t.Errorf("%d expectations of parts differ from %d of all", len(both), len(all))
	}
	maps.Copy(lostA, lostB)
	if !maps.Equal(lostA, lost) {
		t.Errorf("lost are %v of parts, %v of all", lostA, lost)
	}
}

// Who was erased is somebody unknown, and has a new life with what comes then.
func TestErasure(t *testing.T) {
	s := newScript().bind(10, "ann", "t").message(100, 100, "before")
	s.at(200, 200, simulations.Event{Kind: simulations.Erase}).message(300, 300, "after")
	s.bind(400, "ann", "t").message(500, 500, "again")
	for _, x := range s.Expect() {
		want := map[string]Decision{"before": {"phone", queued, 1}, "after": {"", rousev1.Reason_REASON_NO_USER, -1}, "again": {"phone", queued, 1}}[x.Message]
		if err := x.Allows([]Decision{want}); err != nil || !x.Sure() {
			t.Errorf("%s: %v, of %v", x.Message, err, x.Either)
		}
	}
}
