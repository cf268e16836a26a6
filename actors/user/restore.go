package user

import (
	"errors"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/lane"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// restore takes up the pushes that had not ended when the shard last stopped.
// Those that were with a lane go to it again under the same push id: the
// vendor may have taken them, which nobody can know.
func (a *Actor) restore(c actor.Context, entries []Entry) {
	s := &Step{Epoch: a.home.Epoch, Cell: a.cell, App: a.app, User: a.user}
	t := turns.Get().(*turn)
	defer a.release(t)
	t.actor, t.env.Now, t.env.App = a, a.home.Deps.Now(), a.home.Deps.App(a.app)
	t.state = State{Devices: t.state.Devices[:0]}
	if a.record != "" {
		if err := t.state.Decode(a.record); err != nil {
			a.home.Deps.Logger.Error("record of a user cannot be read; its pushes are left in the store", "app", a.app, "shard", a.home.Shard, "error", err)
			a.broken = true
			return
		}
	}
	for _, e := range entries {
		p, err := a.unsealed(e)
		if err != nil {
			a.home.Deps.Logger.Error("outbox entry cannot be read; its pushes are left in the store", "app", a.app, "shard", a.home.Shard, "error", err)
			continue
		}
		a.pending = append(a.pending, p)
		for i := range p.Verdicts {
			if p.Verdicts[i].Stage == StageLane {
				s.Tell = append(s.Tell, a.again(&t.state, t.env.App, Push{Pending: p, Verdict: i}))
			}
		}
	}
	t.state.Pending = a.pending
	a.cell.Pending.Store(int32(len(a.pending)))
	if due := t.state.NextDue(t.env.Now); !due.IsZero() {
		s.Due, s.SetsDue, a.due = due, true, true
	}
	a.propose(c, s)
}

func (a *Actor) unsealed(e Entry) (*Pending, error) {
	p, sealed, err := DecodePending(e.Message, e.Value)
	if err != nil {
		return nil, err
	}
	p.stored = true
	plain, err := a.home.Deps.Ring.Open(nil, a.appendAAD(nil, p.Message, ""), []byte(sealed))
	if err != nil {
		return nil, err
	}
	p.Payload = &rousev1.MessageEvent{}
	return p, proto.Unmarshal(plain, p.Payload)
}

func (a *Actor) again(s *State, app *App, p Push) LaneMessage {
	v := &p.Pending.Verdicts[p.Verdict]
	if v.Withdrawn != 0 {
		ref := lane.Ref{App: a.app, User: a.user, Message: p.Pending.Message, Device: v.Device, Notifier: v.Notifier}
		end := a.unsent(ref, PushID(a.app, a.user, v.Device, p.Pending.Message), rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, v.Withdrawn, "")
		end.InDoubt = true // a former leader may have sent it
		return LaneMessage{Ended: end}
	}
	l := a.home.Deps.Lanes.Get(a.app, v.Notifier)
	if l == nil {
		ref := lane.Ref{App: a.app, User: a.user, Message: p.Pending.Message, Device: v.Device, Notifier: v.Notifier}
		return LaneMessage{Ended: a.unsent(ref, PushID(a.app, a.user, v.Device, p.Pending.Message),
			rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, rousev1.Reason_REASON_NO_NOTIFIER, "")}
	}
	l.ForceReserve()
	m := a.dispatch(s, app, p, l)
	if m.Dispatch != nil {
		m.Dispatch.Again = true
		if plant.On(plant.RepeatGetsNewPushID) {
			m.Dispatch.PushID = PushID(a.app, a.user, v.Device, p.Pending.Message+time.Now().String())
			m.Dispatch.N.PushID = m.Dispatch.PushID
		}
	}
	return m
}

// query answers reads of the user, after what was decided before is durable.
func (a *Actor) query(c actor.Context, cmd proto.Message, done func(actors.Reply)) {
	t := turns.Get().(*turn)
	defer a.release(t)
	app := a.home.Deps.App(a.app)
	if app == nil || !a.load(t, app) {
		done(internal("the app or the user's record cannot be read"))
		return
	}
	r := actors.Reply{Status: accepted}
	switch cmd := cmd.(type) {
	case *rousev1.ListDevicesRequest:
		r.Response = t.state.List(&t.env, a.tail)
	case *rousev1.GetOfflineCountRequest:
		r.Response = t.state.OfflineCount()
	case *rousev1.ListOutcomesRequest:
		r = a.listOutcomes(cmd, t.env.Now)
	case *rousev1.TraceRequest:
		r = a.traces(cmd, t.env.Now)
	case *rousev1.GetUserSettingsRequest:
		r.Response = &rousev1.GetUserSettingsResponse{Settings: t.state.Settings.proto(t.env.Now), Conversations: t.state.Conversations}
	case *rousev1.GetConversationSettingsRequest:
		r = a.getConversations(cmd, t.env.Now)
	case *rousev1.ListConversationSettingsRequest:
		r = a.listConversations(cmd, t.env.Now)
	case *rousev1.ExplainRequest:
		r = a.explain(t, cmd.GetMessage())
	}
	a.reply(c, done, r)
}

// explain decides a message without any of the consequences.
func (a *Actor) explain(t *turn, m *rousev1.MessageEvent) actors.Reply {
	c, err := a.message(m, t.env.Now)
	if err != nil {
		return internal("the store cannot be read")
	}
	t.trail.reset()
	t.env.Trail = &t.trail
	return actors.Reply{Status: accepted, Response: t.state.Explain(c, &t.env)}
}

const defaultOutcomes = 50 // messages that are told when not asked for a number

func (a *Actor) listOutcomes(q *rousev1.ListOutcomesRequest, now time.Time) actors.Reply {
	found, err := a.newest(q.GetMessageId(), int(q.GetLimit()), now)
	if err != nil {
		return a.unreadable("outcomes", err)
	}
	out := &rousev1.ListOutcomesResponse{}
	for _, p := range found {
		out.Outcomes = append(out.Outcomes, p.Outcomes(a.app, a.user)...)
	}
	return actors.Reply{Status: accepted, Response: out}
}

// newest takes pending messages, and ended ones that are not durable yet, from
// memory and the others from the store, newest day first; it stops at the limit
// of messages. An empty message is any.
func (a *Actor) newest(message string, limit int, now time.Time) ([]*Pending, error) {
	if limit == 0 {
		limit = defaultOutcomes
	}
	var found []*Pending
	inMemory := map[string]bool{}
	remember := func(p *Pending) {
		if (message == "" || p.Message == message) && !inMemory[p.Message] {
			found, inMemory[p.Message] = append(found, p), true
		}
	}
	for _, p := range a.pending {
		remember(p)
	}
	for _, d := range a.undurable {
		if d.p != nil {
			remember(d.p)
		}
	}
	today := unixDay(now)
	last := a.lastDay(today)
	for day := last; day+OutcomeDays >= today; day-- {
		if len(found) >= limit && day < last {
			break
		}
		list, err := a.outcomesOf(day, message)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			if !inMemory[p.Message] {
				found = append(found, p)
			}
		}
	}
	return newestFirst(found, limit), nil
}

// outcomesOf reads one day. Messages of one day stand in the order of their
// ids; at most maxDay of them are read.
func (a *Actor) outcomesOf(day uint16, message string) ([]*Pending, error) {
	r := storage.UserOutcomes(a.home.Shard, day, a.app, a.user)
	if message != "" {
		key := a.outcomeKey(nil, day, message)
		r = storage.Range{Lo: key, Hi: append(append([]byte(nil), key...), 0)}
	}
	var list []*Pending
	var bad error
	err := a.home.Deps.Store.Scan(r, func(key, value []byte) bool {
		k, err := storage.ParseOutcomeKey(key)
		var p *Pending
		if err == nil {
			p, _, err = DecodePending(k.Message, string(value))
		}
		if err != nil {
			bad = err
			return false
		}
		list = append(list, p)
		return len(list) < maxDay
	})
	if err == nil {
		err = bad
	}
	return list, err
}

const maxDay = 20_000

// find looks for messages that have ended: in what is not durable yet, and in
// the days for which outcomes are kept. A pending one is the state's to know.
func (a *Actor) find(ids []string) (found []*Pending, err error) {
	a.settle()
	today := unixDay(a.home.Deps.Now())
	for _, id := range ids {
		p, err := a.findOne(id, today)
		if err != nil {
			return nil, err
		}
		if p != nil {
			found = append(found, p)
		}
	}
	return found, nil
}

// findCounted is find for messages that may have to be taken out of a count: it
// spares the look when no device counts any.
func (a *Actor) findCounted(ids []string) ([]*Pending, error) {
	t := turns.Get().(*turn)
	defer a.release(t)
	if a.record == "" || t.state.Decode(a.record) != nil ||
		!slices.ContainsFunc(t.state.Devices, func(d Device) bool { return d.Count > 0 }) {
		return nil, nil
	}
	return a.find(ids)
}

func (a *Actor) findOne(id string, today uint16) (*Pending, error) {
	for _, p := range a.pending {
		if p.Message == id {
			return nil, nil
		}
	}
	for _, d := range slices.Backward(a.undurable) {
		if d.erased {
			return nil, nil
		}
		if d.p != nil && d.p.Message == id {
			return d.p, nil
		}
	}
	v := vials.Get().(*vial)
	defer vials.Put(v)
	for day := a.lastDay(today); day+OutcomeDays >= today; day-- {
		v.key = a.outcomeKey(v.key[:0], day, id)
		value, err := a.home.Deps.Store.Get(v.key)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p, _, err := DecodePending(id, string(value))
		return p, err
	}
	return nil, nil
}
