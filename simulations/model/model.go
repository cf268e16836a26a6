// Package model says what the engine may answer: the decision on every message
// for every device, and the badge, from the events that it acknowledged. It is
// built on the second implementation of the rules (internal/oracle) and shares
// no code with the engine.
//
// Events of a user that were under way at the same time may have been taken in
// any order. The model keeps every state that some order leads to, drops those
// that contradict an answer, and so allows more than one decision only where
// more than one is right.
package model

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/oracle"
	"github.com/rouse-im/rouse/simulations"
)

// Bounds of what is kept for one user; beyond them nothing is said of him any more.
const (
	maxStates  = 32
	maxCluster = 5 // events at the same time: 120 orders
)

// Options of a model.
type Options struct {
	// Start is the wall clock at offset 0.
	Start    time.Time
	Settings *rousev1.AppSettings
	// Credentials by name; those that bindings name and that are missing are
	// taken as usable.
	Credentials map[string]oracle.Credential
	// Lease is how long an IM node's sessions may outlive it. Where a Stay falls into
	// that time, they may last to its end, and so on; Stays are in their order.
	Lease time.Duration
	Stays []Stay
	// Of tells of which users something shall be said; nil = of all. Models of parts of
	// the users, each told everything, say together what one of all users says.
	Of func(user string) bool
	// Release is how long a token may stay with its former user after it was
	// bound to another.
	Release time.Duration
}

// Stay is a time in which leases may be kept that have ended: they began anew, or
// some node did not hear of their end.
type Stay struct{ From, To simulations.Offset }

// Call is one event that was told to the engine, with its answer.
type Call struct {
	Event *simulations.Event
	// Sent and Answered are the times between which the engine took it.
	Sent, Answered simulations.Offset
	// Status of the answer; UNSPECIFIED = none, or one that says nothing.
	Status rousev1.ItemStatus
	// User whom the answer is of, for events to more than one.
	User string
}

// Decision that the engine may have made on a message, for one device.
type Decision struct {
	Device string
	Reason rousev1.Reason
	Badge  int // -1 = none
}

// Expectation of what the engine decided on one message for one user. Each of
// Either is a whole answer: one decision for each device, sorted. None at all =
// nothing can be said.
type Expectation struct {
	Event   uint64 // number of the event
	User    string
	Message string
	Either  [][]Decision
}

// Sure tells whether there is one right answer.
func (x *Expectation) Sure() bool { return len(x.Either) == 1 }

// Delayed are the devices whose push waits for its time by one of the right answers.
func (x *Expectation) Delayed() (devices []string) {
	for _, either := range x.Either {
		for _, d := range either {
			if d.Reason == rousev1.Reason_REASON_DELAYED {
				devices = append(devices, d.Device)
			}
		}
	}
	return devices
}

// Model of all users.
type Model struct {
	o     Options
	users map[string]*person
	nodes map[string][]run
	owner map[[2]string]string // by notifier and token, the user who bound it last
	found []Expectation
	lost  map[string]string // users of whom nothing is said any more, and why
}

// run of an IM node.
type run struct {
	incarnation uint64
	up, down    simulations.Offset
}

const forever = simulations.Offset(1<<62 - 1)

// New model. Calls are told in the order of Sent.
func New(o Options) *Model {
	if o.Settings == nil {
		o.Settings = &rousev1.AppSettings{}
	}
	return &Model{o: o, users: map[string]*person{}, nodes: map[string][]run{}, owner: map[[2]string]string{}, lost: map[string]string{}}
}

// Tell the model of a call. Events to several users are told once for each, with
// User set; without it all of them take the same answer.
func (m *Model) Tell(c Call) {
	e := c.Event
	switch e.Kind {
	case simulations.IMUp:
		runs := m.nodes[e.Node]
		if n := len(runs); n > 0 && runs[n-1].down == forever {
			runs[n-1].down = c.Sent
		}
		m.nodes[e.Node] = append(runs, run{e.Incarnation, c.Sent, forever})
	case simulations.IMDown:
		if runs := m.nodes[e.Node]; len(runs) > 0 {
			runs[len(runs)-1].down = c.Sent
		}
	case simulations.Bind:
		key := [2]string{e.Notifier, e.Token}
		if former := m.owner[key]; former != "" && former != e.User {
			m.take(former, Call{Event: e, Sent: c.Sent, Answered: c.Answered + simulations.At(m.o.Release), Status: c.Status})
		}
		m.owner[key] = e.User
		m.take(e.User, c)
	default:
		for _, u := range e.Users() {
			if c.User == "" || c.User == u {
				m.take(u, c)
			}
		}
	}
}

// Dropped says that a vendor called a token invalid: the user lost it at some
// time between the two.
func (m *Model) Dropped(notifier, token string, from, to simulations.Offset) {
	if u := m.owner[[2]string{notifier, token}]; u != "" {
		m.take(u, Call{Event: &simulations.Event{Kind: simulations.Dead, Notifier: notifier, Token: token}, Sent: from, Answered: to})
	}
}

func (m *Model) take(user string, c Call) {
	if m.lost[user] != "" || m.o.Of != nil && !m.o.Of(user) {
		return
	}
	p := m.users[user]
	if p == nil {
		p = &person{m: m, id: user, states: []*oracle.User{m.newUser(user)}}
		m.users[user] = p
	}
	if len(p.open) > 0 && c.Sent > p.until {
		p.settle()
	}
	p.open = append(p.open, c)
	p.until = max(p.until, c.Answered)
}

func (m *Model) newUser(id string) *oracle.User {
	return oracle.NewUser(id, &oracle.App{Settings: m.o.Settings, Credentials: m.o.Credentials})
}

// Expect settles all that is open and returns what the engine must have decided,
// in order of users and events.
func (m *Model) Expect() []Expectation {
	for _, p := range m.users {
		if m.lost[p.id] == "" {
			p.settle()
		}
	}
	slices.SortStableFunc(m.found, func(a, b Expectation) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Event, b.Event))
	})
	return m.found
}

// Lost are users of whom nothing is said any more, and why.
func (m *Model) Lost() map[string]string { return m.lost }

// live tells whether a run of an IM node holds its lease: certainly, or maybe.
func (m *Model) live(node string, incarnation uint64, at simulations.Offset) (yes, maybe bool) {
	for _, r := range m.nodes[node] {
		if r.incarnation == incarnation {
			return at < r.down, at >= r.down && at <= m.lapse(r.down)
		}
	}
	return false, false
}

// lapse is when the sessions of an IM node that went down at a time have surely ended.
func (m *Model) lapse(down simulations.Offset) simulations.Offset {
	last := down + simulations.At(m.o.Lease)
	for _, s := range m.o.Stays {
		if s.To > down && s.From <= last {
			last = max(last, s.To)
		}
	}
	return last
}

// Allows says why what the engine decided is wrong; nil = it is one of the right
// answers, or nothing can be said.
func (x *Expectation) Allows(got []Decision) error {
	if len(x.Either) == 0 {
		return nil
	}
	got = sorted(got)
	for _, want := range x.Either {
		if slices.Equal(got, want) {
			return nil
		}
	}
	if x.Sure() {
		return fmt.Errorf("event %d: message %s for user %s: decided %v, want %v", x.Event, x.Message, x.User, got, x.Either[0])
	}
	return fmt.Errorf("event %d: message %s for user %s: decided %v, want one of %v", x.Event, x.Message, x.User, got, x.Either)
}

func sorted(all []Decision) []Decision {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Decision) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Badge, b.Badge))
	})
	return all
}

// String is for messages.
func (d Decision) String() string {
	if d.Badge < 0 {
		return fmt.Sprintf("{%s %v}", d.Device, d.Reason)
	}
	return fmt.Sprintf("{%s %v badge %d}", d.Device, d.Reason, d.Badge)
}
