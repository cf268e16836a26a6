package model

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/oracle"
	"github.com/rouse-im/rouse/simulations"
)

// person is a user: the states that he may be in, and what is under way.
type person struct {
	m      *Model
	id     string
	states []*oracle.User
	open   []Call
	until  simulations.Offset // the last answer of open
}

// branch is a state, and what was decided on the way to it.
type branch struct {
	u       *oracle.User
	decided []answer
}

type answer struct {
	call int // index in open
	all  []Decision
}

// settle takes what is under way, in every order that its times allow.
func (p *person) settle() {
	open := p.open
	p.open, p.until = nil, 0
	if len(open) == 0 {
		return
	}
	if len(open) > maxCluster {
		p.lose(open, fmt.Sprintf("event %d: %d events at the same time", open[0].Event.N, len(open)))
		return
	}
	if len(open) == 1 && len(p.states) == 1 && open[0].Event.Kind != simulations.Message {
		p.alone(open[0])
		return
	}
	var ends []branch
	for _, u := range p.states {
		ends = p.orders(branch{u: u}, open, 0, ends)
	}
	if len(ends) == 0 {
		p.lose(open, fmt.Sprintf("event %d: no order of the events explains their answers", open[0].Event.N))
		return
	}
	p.tell(open, ends)
	if len(ends) == 1 {
		p.states = []*oracle.User{ends[0].u}
		return
	}
	var keep []*oracle.User
	seen := map[string]bool{}
	for _, b := range ends {
		if f := fingerprint(b.u); !seen[f] {
			seen[f] = true
			keep = append(keep, b.u)
		}
	}
	if p.states = keep; len(keep) > maxStates {
		p.lose(nil, fmt.Sprintf("event %d: more than %d states are possible", open[0].Event.N, maxStates))
	}
}

// alone takes an event that nothing else was under way with: the usual case,
// without a copy of the state.
func (p *person) alone(c Call) {
	if status := p.m.change(p.states[0], c); c.Status != 0 && status != 0 && c.Status != status {
		p.lose(nil, fmt.Sprintf("event %d: no order of the events explains their answers", c.Event.N))
	}
}

// lose says nothing of the user from now on; what is open is expected to be anything.
func (p *person) lose(open []Call, why string) {
	p.m.lost[p.id] = why
	p.tell(open, nil)
	p.states = nil
}

// orders adds the ends of all orders in which the calls that are not in done
// may have been taken.
func (p *person) orders(b branch, open []Call, done uint, ends []branch) []branch {
	last := true
	for i, c := range open {
		if done&(1<<i) != 0 {
			continue
		}
		last = false
		if slices.ContainsFunc(open, func(o Call) bool { return o.Answered < c.Sent && done&(1<<slices.IndexFunc(open, same(o))) == 0 }) {
			continue // another was answered before this one was sent
		}
		for _, next := range p.apply(b, i, c) {
			if len(ends) > 64*maxStates {
				return ends
			}
			ends = p.orders(next, open, done|1<<i, ends)
		}
	}
	if last {
		ends = append(ends, b)
	}
	return ends
}

func same(a Call) func(Call) bool {
	return func(b Call) bool { return a.Event == b.Event && a.Sent == b.Sent && a.Answered == b.Answered }
}

// tell what the ends say of each message.
func (p *person) tell(open []Call, ends []branch) {
	for i, c := range open {
		if c.Event.Kind != simulations.Message {
			continue
		}
		x := Expectation{Event: c.Event.N, User: p.id, Message: c.Event.Message}
		repeat := false
		for _, b := range ends {
			for _, a := range b.decided {
				switch {
				case a.call != i:
				case a.all == nil:
					repeat = true
				case !slices.ContainsFunc(x.Either, func(e []Decision) bool { return slices.Equal(e, a.all) }):
					x.Either = append(x.Either, a.all)
				}
			}
		}
		if !repeat {
			p.m.found = append(p.m.found, x)
		}
	}
}

// apply one call to a copy of the state. There is more than one way where the
// time of the decision, or the end of a lease, makes a difference; there is none
// if the answer contradicts the state.
func (p *person) apply(b branch, i int, c Call) []branch {
	if c.Event.Kind != simulations.Message {
		u := clone(b.u)
		if status := p.m.change(u, c); c.Status != 0 && status != 0 && c.Status != status {
			return nil
		}
		return []branch{{u, b.decided}}
	}
	var all []branch
	for _, at := range []simulations.Offset{c.Sent, c.Answered} {
		for _, dead := range []bool{false, true} {
			u := clone(b.u)
			unsure := p.m.leases(u, at, dead)
			decided, repeat := p.m.decide(u, at, c.Event)
			if c.Status == rousev1.ItemStatus_ITEM_STATUS_DUPLICATE && !repeat || c.Status == rousev1.ItemStatus_ITEM_STATUS_ACCEPTED && repeat {
				continue
			}
			// What is not pushed may count, and be decided alike, on both sides of the
			// end of a lease.
			silent := unsure || p.m.o.Settings.GetSkipSilentCount()
			next := branch{u, append(slices.Clip(b.decided), answer{i, decided})}
			if !slices.ContainsFunc(all, func(o branch) bool {
				return slices.Equal(o.decided[len(o.decided)-1].all, decided) && (!silent || fingerprint(o.u) == fingerprint(u))
			}) {
				all = append(all, next)
			}
			if !unsure {
				break
			}
		}
		if c.Sent == c.Answered {
			break
		}
	}
	return all
}

// leases sets what is known of them; unsure tells whether one may or may not
// have ended, in which case dead decides.
func (m *Model) leases(u *oracle.User, at simulations.Offset, dead bool) (unsure bool) {
	app := *u.App
	for _, d := range u.Devices {
		if _, maybe := m.live(d.Node, d.Incarnation, at); maybe && d.Node != "" {
			unsure = true
		}
	}
	app.Live = func(node string, incarnation uint64) bool {
		yes, maybe := m.live(node, incarnation, at)
		return yes || maybe && !dead
	}
	u.App = &app
	return unsure
}

func (m *Model) decide(u *oracle.User, at simulations.Offset, e *simulations.Event) (all []Decision, repeat bool) {
	u.App = m.usable(u)
	verdicts, repeat := u.Message(m.o.Start.Add(at.Duration()), e.Item(m.o.Start).GetMessage(), false)
	for _, v := range verdicts {
		all = append(all, Decision{v.Device, v.Reason, v.Badge})
	}
	return sorted(all), repeat
}

// usable credentials: those that nobody described are, too.
func (m *Model) usable(u *oracle.User) *oracle.App {
	app := *u.App
	app.Credentials = maps.Clone(m.o.Credentials)
	if app.Credentials == nil {
		app.Credentials = map[string]oracle.Credential{}
	}
	for _, d := range u.Devices {
		for _, b := range d.Bindings {
			if _, ok := app.Credentials[b.Notifier]; !ok {
				app.Credentials[b.Notifier] = oracle.Credential{}
			}
		}
	}
	return &app
}

// change the state by an event that is no message.
func (m *Model) change(u *oracle.User, c Call) rousev1.ItemStatus {
	e, now := c.Event, m.o.Start.Add(c.Answered.Duration())
	item := e.Item(m.o.Start)
	m.leases(u, c.Answered, false)
	switch e.Kind {
	case simulations.Presence:
		return u.Presence(now, item.GetPresence(), e.Node, e.Incarnation)
	case simulations.Bind:
		if e.User != u.ID {
			release(u, e.Notifier, e.Token)
			return 0
		}
		r := e.BindRequest()
		u.Bind(now, r.GetDeviceId(), r.GetNotifier(), r.GetToken(), r.GetDevice())
	case simulations.Dead:
		release(u, e.Notifier, e.Token)
	case simulations.Unbind:
		u.Unbind(e.Device, e.Notifier)
	case simulations.Fetched:
		u.Fetched(e.Device)
	case simulations.Read:
		u.Read(e.Messages...)
	case simulations.Recall:
		u.Recall(e.Message, e.Version, e.Text != "")
	case simulations.Policy:
		u.SetPolicy(e.DevicePolicy())
	case simulations.Erase:
		*u = *m.newUser(u.ID)
	case simulations.Settings:
		if r := e.SettingsRequest(); r != nil {
			if r.QuietFor != nil {
				r.Settings.QuietUntil = timestamppb.New(now.Add(r.GetQuietFor().AsDuration()))
			}
			u.Set(r.GetSettings())
			break
		}
		r := e.ConversationRequest()
		key := oracle.Conversation{Type: r.GetConversation().GetType(), ID: r.GetConversation().GetId()}
		wish := u.Conversations[key]
		if r.Mode != nil {
			wish.Mode = r.GetMode()
		}
		if r.QuietFor != nil {
			wish.QuietUntil = now.Add(r.GetQuietFor().AsDuration())
		}
		u.SetWish(key, wish)
	}
	return 0
}

func release(u *oracle.User, notifier, token string) {
	for _, d := range u.Devices {
		d.Bindings = slices.DeleteFunc(d.Bindings, func(b *oracle.Binding) bool { return b.Notifier == notifier && b.Token == token })
	}
}

// clone a state; the oracle changes what it is given. Marketing is not simulated.
func clone(u *oracle.User) *oracle.User {
	c := *u
	c.Devices = make([]*oracle.Device, len(u.Devices))
	for i, d := range u.Devices {
		n := *d
		n.Unfetched = slices.Clone(d.Unfetched)
		n.Bindings = slices.Clone(d.Bindings)
		c.Devices[i] = &n
	}
	c.Conversations = maps.Clone(u.Conversations)
	c.Decided = maps.Clone(u.Decided)
	for id, x := range c.Decided {
		n := *x
		c.Decided[id] = &n
	}
	return &c
}

// fingerprint is the same for states that decide alike.
func fingerprint(u *oracle.User) string {
	var b []byte
	b = fmt.Appendf(b, "%v %v %v %v %d\n", u.Known, u.Policy, u.Settings, u.Conversations, len(u.Decided))
	for _, d := range u.Devices {
		b = fmt.Appendf(b, "%s %v %s %v %s %d %d %d %v", d.ID, d.Platform, d.Zone, d.State, d.Node, d.Incarnation, d.Session, d.Step, d.Unfetched)
		for _, x := range d.Bindings {
			b = fmt.Appendf(b, " %s=%s", x.Notifier, x.Token)
		}
		b = append(b, '\n')
	}
	return string(b)
}
