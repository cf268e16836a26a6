package world

import (
	"fmt"
	"math/rand/v2"

	"github.com/rouse-im/rouse/simulations"
)

func messageName(n uint64) string { return fmt.Sprintf("m%d", n) }

// contact of a user, the same ones all day: one of a few, the first most often.
func (w *World) contact(u uint32, r *rand.Rand) uint32 {
	k := min(r.IntN(w.s.Talk.Contacts), r.IntN(w.s.Talk.Contacts))
	pcg := w.random("contact", uint64(u)<<16|uint64(k))
	to := uint32(pcg.Uint64() % uint64(len(w.users)))
	if to == u {
		to = (to + 1) % uint32(len(w.users))
	}
	return to
}

// write a message to somebody.
func (w *World) write(t simulations.Offset, d *device, r *rand.Rand) {
	to := w.contact(d.account, r)
	w.last++
	e := simulations.Event{
		At: t, Kind: simulations.Message, Node: nodeName(int(d.node)), Incarnation: uint64(d.inc), Message: messageName(w.last),
		From: userName(d.account), To: []string{userName(to)}, Text: "message " + messageName(w.last),
	}
	if hit(r, w.s.Talk.Call) {
		e.Call, e.TTL, e.Text = true, 45, "incoming call"
	}
	w.fades(&e, "of-"+e.From, r)
	w.got(to, w.last)
	w.tell(e)
	if hit(r, w.s.Talk.Recall) {
		w.later.add(t+max(1, draw(r, w.s.Talk.RecallIn)), follow{
			kind: followRecall, ref: uint64(to), message: w.last, session: noGroup, edit: hit(r, w.s.Talk.Edit),
		})
	}
}

// fades says of some messages that they are wanted for a while only, or in the
// place of others.
func (w *World) fades(e *simulations.Event, collapse string, r *rand.Rand) {
	if !e.Call && hit(r, w.s.Talk.Short) {
		e.TTL = uint32(max(1, draw(r, w.s.Talk.Wanted)/1000)) //nolint:gosec // a scenario lasts a year at most
	}
	if !e.Call && hit(r, w.s.Talk.Replaces) {
		e.Collapse = collapse
	}
}

// got notes a message to a user.
func (w *World) got(u uint32, message uint64) {
	unread := &w.users[u].unread
	copy(unread[1:], unread[:3])
	unread[0] = message
}

// read what came last.
func (w *World) read(t simulations.Offset, d *device) {
	u := &w.users[d.account]
	e := simulations.Event{At: t, Kind: simulations.Read, Node: nodeName(int(d.node)), Incarnation: uint64(d.inc), User: userName(d.account)}
	for i, n := range u.unread {
		if n > 0 {
			e.Messages = append(e.Messages, messageName(n))
		}
		u.unread[i] = 0
	}
	if len(e.Messages) > 0 {
		w.tell(e)
	}
}

// speak is the turn of a group.
func (w *World) speak(t simulations.Offset, g *group) {
	r := rand.New(&g.rng)
	w.inGroup(t, g, r, hit(r, w.s.Groups.MentionAll))
	g.next = w.regions[g.region].hours.after(t, max(1000, draw(r, w.s.Groups.Pause)))
}

// noGroup says that a recall is of a direct message.
const noGroup = ^uint32(0)

// author of a message: somebody who looks at the app, if one is soon found.
func (w *World) author(g *group, r *rand.Rand) (from uint32, node int, ok bool) {
	for range 16 {
		from = w.member(g, r.Uint32N(g.size))
		if d := &w.devices[w.users[from].first]; d.state == foreground && d.account == from {
			return from, int(d.node), true
		}
	}
	node, ok = w.liveNode(r)
	return from, node, ok
}

// inGroup tells a message to all members, its author included, in parts.
func (w *World) inGroup(t simulations.Offset, g *group, r *rand.Rand, all bool) {
	from, node, ok := w.author(g, r)
	if !ok {
		return
	}
	w.last++
	e := simulations.Event{
		At: t, Kind: simulations.Message, Node: nodeName(node), Incarnation: uint64(w.nodes[node].incarnation), Message: messageName(w.last),
		From: userName(from), Group: groupName(g.id), GroupSize: g.size, MentionAll: all, Text: "message " + messageName(w.last),
	}
	if !all && hit(r, w.s.Groups.Mention) {
		e.Mentions = []string{userName(w.member(g, r.Uint32N(g.size)))}
	}
	w.fades(&e, "in-"+e.Group, r)
	for k := range g.size {
		w.got(w.member(g, k), w.last)
	}
	w.parts(e, g)
	if hit(r, w.s.Talk.Recall) {
		w.later.add(t+max(1, draw(r, w.s.Talk.RecallIn)), follow{
			kind: followRecall, message: w.last, session: g.id, edit: hit(r, w.s.Talk.Edit),
		})
	}
}

func (w *World) parts(e simulations.Event, g *group) {
	for k := uint32(0); k < g.size; k += simulations.MaxRecipients {
		e.To = make([]string, 0, min(g.size-k, simulations.MaxRecipients))
		for j := k; j < min(g.size, k+simulations.MaxRecipients); j++ {
			e.To = append(e.To, userName(w.member(g, j)))
		}
		w.tell(e)
	}
}

func groupName(i uint32) string { return fmt.Sprintf("g%d", i) }

// wishes of a user, told once, with his first login.
func (w *World) wishes(t simulations.Offset, u uint32, r *rand.Rand) {
	s := w.s.Wishes
	x := simulations.Wish{}
	if hit(r, s.Night) {
		x.QuietStart, x.QuietEnd, x.MentionsPass = uint32(s.NightWindow.From), uint32(s.NightWindow.To), hit(r, s.MentionsPass)
	}
	switch {
	case hit(r, s.MentionOnly):
		x.Mode = "mention-only"
	case hit(r, s.Silent):
		x.Mode = "none"
	}
	if x != (simulations.Wish{}) {
		w.tell(simulations.Event{At: t, Kind: simulations.Settings, User: userName(u), Wish: &x})
	}
	if r.Float64() < s.Mute.PerDay && len(w.groups) > 0 {
		mute := simulations.Wish{Mode: "none"}
		if r.IntN(2) == 0 {
			mute = simulations.Wish{QuietFor: 8 * 3600}
		}
		w.tell(simulations.Event{At: t, Kind: simulations.Settings, User: userName(u), Group: groupName(r.Uint32N(uint32(len(w.groups)))), Wish: &mute})
	}
	if hit(r, s.OwnPolicy) {
		if p := pick(r, weights(s.Policies.Of)); p != "" {
			w.tell(simulations.Event{At: t, Kind: simulations.Policy, User: userName(u), Policy: p})
		}
	}
}

// follow does what was planned.
func (w *World) follow(f follow) {
	switch f.kind {
	case followFetched:
		d := &w.devices[f.ref]
		if d.online() && d.session == f.session && d.account == f.tokens {
			w.tell(simulations.Event{At: f.at, Kind: simulations.Fetched, Node: nodeName(int(d.node)), Incarnation: uint64(d.inc), User: userName(d.account), Device: d.name()})
		}
	case followDead:
		d := w.devices[f.ref]
		d.install = uint8(f.session)
		_, _, _, vendor := d.maker()
		token := d.token(w.seed, f.tokens)
		w.tell(simulations.Event{At: f.at, Kind: simulations.Dead, Vendor: vendor, Token: token})
		if d.voip {
			w.tell(simulations.Event{At: f.at, Kind: simulations.Dead, Vendor: vendor, Token: voip(token)})
		}
	case followRecall:
		w.recall(f)
	case followDown:
		w.outage(f.at, w.s.IM.Outages[f.ref], f.ref)
	case followUp:
		o := w.s.IM.Outages[f.ref]
		for i := range w.nodes {
			if (o.All || o.Node == i) && w.nodes[i].down {
				w.imUp(f.at, i)
			}
		}
	case followLarge:
		g := &w.groups[f.ref]
		w.inGroup(f.at, g, rand.New(&g.rng), w.s.Groups.Large[f.ref].MentionAll)
	case followErase:
		w.erase(f.at, uint32(f.ref))
	}
}

func (w *World) recall(f follow) {
	for i, n := range w.nodes {
		if n.down {
			continue
		}
		e := simulations.Event{At: f.at, Kind: simulations.Recall, Node: nodeName(i), Incarnation: uint64(n.incarnation), Message: messageName(f.message), Version: 1}
		if f.edit {
			e.Text = "edited " + e.Message
		}
		if f.session == noGroup {
			e.To = []string{userName(uint32(f.ref))}
			w.tell(e)
		} else {
			w.parts(e, &w.groups[f.session])
		}
		return
	}
}
