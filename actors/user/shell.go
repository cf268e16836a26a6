package user

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/lane"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/failpoint"
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// turn is the scratch memory of one command.
type turn struct {
	state State
	env   Env
	actor *Actor
	taken []*lane.Lane // places taken by Room
	page  page
	trail Trail
}

var turns = sync.Pool{New: func() any {
	t := &turn{}
	t.env.Live = func(node string, inc uint64) bool {
		return t.actor.home.Deps.Live(t.actor.app, node, inc, t.env.Now)
	}
	t.env.Zone = func(name string) *time.Location { return t.actor.home.Deps.Zones.Find(name) }
	t.env.Room = func(notifier string) bool {
		l := t.actor.home.Deps.Lanes.Get(t.actor.app, notifier)
		if l == nil || !l.Reserve() {
			return false
		}
		t.taken = append(t.taken, l)
		return true
	}
	return t
}}

func (a *Actor) onActivate(c actor.Context, m *Activate) {
	a.app, a.user, a.home, a.cell = m.App, m.User, m.Home, m.Cell
	rec, err := a.home.Deps.Store.Get(storage.AppendUserKey(nil, a.home.Shard, a.app, a.user))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		// The store is damaged or closed: nothing may be decided on it.
		a.home.Deps.Logger.Error("record of a user cannot be read", "app", a.app, "shard", a.home.Shard, "error", err)
		a.broken = true
		return
	}
	a.record = string(rec)
	if len(m.Outbox) > 0 {
		a.restore(c, m.Outbox)
	}
}

func (a *Actor) onEnvelope(c actor.Context, m *actors.Envelope) {
	switch cmd := m.Command.(type) {
	case *rousev1.MessageEvent:
		msg, err := a.message(cmd, a.home.Deps.Now())
		if err != nil {
			m.Done(internal("the store cannot be read"))
			return
		}
		msg.Stopped = m.Stopped
		a.step(c, msg, m.Done)
	case *rousev1.SetConversationSettingsRequest:
		set, err := a.setConversation(cmd, a.home.Deps.Now())
		if err != nil {
			m.Done(a.unreadable("settings of conversations", err))
			return
		}
		a.step(c, set, m.Done)
	case *rousev1.PresenceEvent:
		a.step(c, Presence{PresenceEvent: cmd, Node: m.Node}, m.Done)
	case *rousev1.BindTokenRequest:
		a.step(c, a.sealed(cmd), m.Done)
	case *rousev1.ReadEvent:
		if found, err := a.findCounted(cmd.GetMessageIds()); err != nil {
			m.Done(internal("the store cannot be read"))
		} else {
			a.step(c, Read{ReadEvent: cmd, Found: found}, m.Done)
		}
	case *rousev1.RecallEvent:
		if found, err := a.find([]string{cmd.GetMessageId()}); err != nil {
			m.Done(internal("the store cannot be read"))
		} else {
			a.step(c, Recall{RecallEvent: cmd, Found: found}, m.Done)
		}
	case *rousev1.ListDevicesRequest, *rousev1.GetOfflineCountRequest, *rousev1.ListOutcomesRequest, *rousev1.ExplainRequest, *rousev1.TraceRequest,
		*rousev1.GetUserSettingsRequest, *rousev1.GetConversationSettingsRequest, *rousev1.ListConversationSettingsRequest:
		a.query(c, cmd, m.Done)
	default:
		a.step(c, cmd, m.Done)
	}
}

func (a *Actor) onEnded(c actor.Context, m *lane.Ended) {
	e := Ended{
		Message: m.Message, Device: m.Device, Notifier: m.Notifier, Status: m.Status, Reason: m.Reason,
		VendorCode: m.VendorCode, VendorID: m.VendorID, InDoubt: m.InDoubt,
		TokenInvalid: m.TokenInvalid, InvalidSince: m.InvalidSince, Sum: Sum(m.TokenSum),
	}
	if m.NewToken != "" {
		e.NewSealed, e.NewSum = a.seal(m.Device, m.Notifier, m.NewToken)
	}
	failpoint.Hit("user/before-outcome")
	a.step(c, e, outcomeDurable)
}

// withdraw takes a push that ended in the lane of another node out of the one of
// this node, where it was dispatched again before.
func (a *Actor) withdraw(c actor.Context, e Ended, s *Step) {
	m, ok := c.Message().(*lane.Ended)
	if !ok || !m.Elsewhere {
		return
	}
	if l := a.home.Deps.Lanes.Get(a.app, e.Notifier); l != nil {
		s.Tell = append(s.Tell, LaneMessage{Lane: l, Cancel: &lane.Cancel{PushID: m.PushID, Status: e.Status, Reason: e.Reason}})
	}
}

// outcomeDurable is when a repeat of the push can no longer happen.
func outcomeDurable(actors.Reply) { failpoint.Hit("user/outcome-durable") }

// opOf is the number of the command that an actor handles; 0 = it has none.
func opOf(c actor.Context) uint64 {
	if m, ok := c.Message().(*actors.Envelope); ok {
		return m.Op
	}
	return 0
}

// step decides a command and hands the consequences to the shard: the only
// place where the pure and the impure meet.
func (a *Actor) step(c actor.Context, cmd any, done func(actors.Reply)) {
	t := turns.Get().(*turn)
	defer a.release(t)
	app := a.home.Deps.App(a.app)
	if app == nil {
		if done != nil {
			done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED, Err: &rousev1.Error{
				Code: rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, Message: "the app does not exist any more",
			}})
		}
		return
	}
	if !a.load(t, app) {
		if done != nil {
			done(internal("the user's record is damaged; erase the user or restore a backup"))
		}
		return
	}
	if _, ok := cmd.(Message); ok {
		t.trail.reset()
		t.env.Trail = &t.trail
	}
	op, decide := opOf(c), t.state.Decide
	repeated := t.state.did(op)
	if repeated {
		decide = t.state.again
	}
	d := decide(cmd, &t.env)
	if d.Reply.Err != nil {
		for _, l := range t.taken {
			l.Release()
		}
		a.reply(c, done, d.Reply)
		return
	}
	s := &Step{Epoch: a.home.Epoch, Cell: a.cell, App: a.app, User: a.user, Done: done, Reply: d.Reply}
	if d.Erase {
		if err := a.erase(t, s); err != nil {
			a.home.Deps.Logger.Error("what is kept of a user cannot be listed; nothing was erased", "app", a.app, "shard", a.home.Shard, "error", err)
			a.reply(c, done, internal("the store cannot be read; nothing was erased"))
			return
		}
	}
	news := a.news(t, cmd, &d)
	t.state.Apply(d.Events)
	if !d.Erase {
		if !repeated && t.state.remember(op, t.env.Now) {
			if !keepsQuietly(cmd) {
				d.Changed = true
			} else if !d.Changed {
				a.record = string(t.state.Encode(nil))
			}
		}
		a.tellNews(t, news, s)
		a.persist(t, &d, s)
	}
	a.effects(t, &d, s)
	switch cmd := cmd.(type) {
	case Ended:
		if len(d.Send) == 0 {
			a.withdraw(c, cmd, s)
		}
	case Bind:
		s.Reply.Response = &rousev1.BindTokenResponse{Bindings: t.state.Bindings(cmd.GetDeviceId(), a.tail)}
	case *rousev1.UnbindTokenRequest:
		s.Reply.Response = &rousev1.UnbindTokenResponse{Bindings: t.state.Bindings(cmd.GetDeviceId(), a.tail)}
	}
	a.propose(c, s)
}

// load decodes the record into the turn's state.
func (a *Actor) load(t *turn, app *App) bool {
	t.actor = a
	t.env.ID, t.env.Me, t.env.Now, t.env.App = a.app, a.user, a.home.Deps.Now(), app
	t.state.Devices = t.state.Devices[:0]
	if a.broken {
		return false
	}
	if a.record == "" {
		devices := t.state.Devices
		t.state = State{Devices: devices}
	} else if err := t.state.Decode(a.record); err != nil {
		a.home.Deps.Logger.Error("record of a user cannot be read", "app", a.app, "shard", a.home.Shard, "error", err)
		return false
	}
	t.state.Pending = a.pending
	return true
}

func (a *Actor) release(t *turn) {
	t.actor, t.env.App, t.env.Trail, t.state.Pending = nil, nil, nil, nil
	clear(t.taken)
	t.taken = t.taken[:0]
	t.page.reset() // not empty after a panic
	turns.Put(t)
}

// page gathers keys and values in memory that is used again; take copies them
// into memory of their own, all at once.
type page struct {
	buf   []byte
	marks []mark
}

type mark struct {
	op         storage.Op
	key, value int // where they end in buf
}

// put ends a mutation: its key goes up to key, its value up to the end of buf.
func (p *page) put(op storage.Op, key int) {
	p.marks = append(p.marks, mark{op, key, len(p.buf)})
}

func (p *page) take() []storage.Mutation {
	if len(p.marks) == 0 {
		return nil
	}
	buf, ms, from := bytes.Clone(p.buf), make([]storage.Mutation, len(p.marks)), 0
	for i, m := range p.marks {
		ms[i] = storage.Mutation{Op: m.op, Key: buf[from:m.key:m.key]}
		if m.value > m.key {
			ms[i].Value = buf[m.key:m.value:m.value]
		}
		from = m.value
	}
	p.reset()
	return ms
}

func (p *page) reset() { p.buf, p.marks = p.buf[:0], p.marks[:0] }

// persist turns the decision into mutations: the record, and for each touched
// message its outbox entry or its outcome, and steps that are worth keeping.
func (a *Actor) persist(t *turn, d *Decision, s *Step) {
	w := &t.page
	if d.Changed {
		w.buf = storage.AppendUserKey(w.buf, a.home.Shard, a.app, a.user)
		key := len(w.buf)
		w.buf = t.state.Encode(w.buf)
		a.record = string(w.buf[key:])
		w.put(storage.Set, key)
	}
	for _, p := range d.Touched {
		a.keepSteps(t, p)
		if p.stored || !p.done() {
			w.buf = a.outboxKey(w.buf, p)
			key := len(w.buf)
			if p.done() {
				w.put(storage.Delete, key)
			} else {
				w.buf = a.appendOutbox(w.buf, p)
				w.put(storage.Set, key)
				p.stored = true
				continue
			}
		}
		if plant.On(plant.OutcomeDropped) && p.stored {
			continue
		}
		day := unixDay(time.UnixMilli(p.DecidedAt))
		a.recent.add(day, p.Message)
		w.buf = a.outcomeKey(w.buf, day, p.Message)
		key := len(w.buf)
		w.buf = p.EncodeOutcome(w.buf)
		w.put(storage.Set, key)
		a.undurable = append(a.undurable, decided{seq: a.cell.Proposed.Load() + 1, p: p})
	}
	for i := range d.Conversations {
		set := &d.Conversations[i]
		w.buf = a.settingKey(w.buf, set.ID)
		key := len(w.buf)
		if set.Remove {
			w.put(storage.Delete, key)
		} else {
			w.buf = set.Encode(w.buf)
			w.put(storage.Set, key)
		}
		a.undurable = append(a.undurable, decided{seq: a.cell.Proposed.Load() + 1, set: set})
	}
	s.Mutations = w.take()
	a.pending = t.state.Pending
	a.cell.Pending.Store(int32(len(a.pending)))
}

// erase removes the record, the outcomes with their steps, and the outbox entries: those in the
// store, readable or not, and those on their way there, since the shard keeps
// the order of its steps. It reads the shard's outbox.
func (a *Actor) erase(t *turn, s *Step) error {
	today := unixDay(t.env.Now)
	ms, err := a.home.Deps.Store.EraseUser(a.app, a.user, today-min(today, OutcomeDays), a.lastDay(today))
	if err != nil {
		return err
	}
	for _, p := range a.pending {
		ms = append(ms, storage.Mutation{Op: storage.Delete, Key: a.outboxKey(nil, p)}, a.forgetSteps(p))
	}
	for _, d := range a.undurable {
		if d.p != nil {
			ms = append(ms, a.forgetSteps(d.p))
		}
	}
	s.Mutations, s.Erased = ms, true
	a.record, a.pending, a.recent = "", nil, recent{}
	a.undurable = []decided{{seq: a.cell.Proposed.Load() + uint64(len(portions(ms))), erased: true}}
	a.cell.Pending.Store(0)
	return nil
}

func (a *Actor) outboxKey(b []byte, p *Pending) []byte {
	return storage.AppendOutboxKey(b, storage.OutboxKey{Shard: a.home.Shard, DueMilli: uint64(p.DecidedAt), App: a.app, User: a.user, Message: p.Message})
}

func (a *Actor) outcomeKey(b []byte, day uint16, message string) []byte {
	return storage.AppendOutcomeKey(b, storage.OutcomeKey{Shard: a.home.Shard, Day: day, App: a.app, User: a.user, Message: message})
}

// OutcomeDays is how many days outcomes are kept, and the steps that led to them.
const OutcomeDays = 7

// effects gathers what happens after the commit.
func (a *Actor) effects(t *turn, d *Decision, s *Step) {
	for i, p := range d.Send { // in the order in which places were taken
		s.Tell = append(s.Tell, a.dispatch(&t.state, t.env.App, p, t.taken[i]))
	}
	for _, p := range d.Cancel {
		v := &p.Pending.Verdicts[p.Verdict]
		if l := a.home.Deps.Lanes.Get(a.app, v.Notifier); l != nil {
			s.Tell = append(s.Tell, LaneMessage{Lane: l, Cancel: &lane.Cancel{
				PushID: PushID(a.app, a.user, v.Device, p.Pending.Message), Reason: p.Reason,
				Status: rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED,
			}})
		}
	}
	s.Claims = append(append(s.Claims, d.Claim...), d.Disown...)
	if due := t.state.NextDue(t.env.Now); !due.IsZero() || a.due {
		s.Due, s.SetsDue = due, true
		a.due = !due.IsZero()
	}
}

// propose sends a step to the shard, or answers when it changes nothing and
// nothing before it awaits its commit.
func (a *Actor) propose(c actor.Context, s *Step) {
	if len(s.Mutations) == 0 && len(s.Tell) == 0 && len(s.Claims) == 0 && !s.SetsDue && a.cell.Settled() {
		a.say(c, s)
		return
	}
	if s.Erased {
		all := portions(s.Mutations)
		for i, ms := range all[1:] {
			all[i+1] = append([]storage.Mutation{s.Mutations[0]}, ms...) // by the record's deletion replicas know an erasure
		}
		for _, ms := range all[:len(all)-1] {
			c.Send(a.home.To, &Step{
				Epoch: s.Epoch, Cell: s.Cell, App: s.App, User: s.User, Mutations: ms, Erased: true, Seq: a.cell.Proposed.Add(1),
			})
		}
		s.Mutations = all[len(all)-1]
	}
	s.answers(c)
	s.Seq = a.cell.Proposed.Add(1)
	c.Send(a.home.To, s)
}

// say answers with what is remembered: at once if no other node can have changed
// the user since, else by the shard.
func (a *Actor) say(c actor.Context, s *Step) {
	switch alone := a.home.Alone; {
	case s.Done == nil:
	case alone == nil || alone():
		s.Done(s.Reply)
	default:
		s.Known = true
		s.answers(c)
		a.cell.Unsure.Add(1)
		c.Send(a.home.To, s)
	}
}

// answers notes the envelope that a step answers.
func (s *Step) answers(c actor.Context) {
	if m, ok := c.Message().(*actors.Envelope); ok && s.Done != nil {
		s.Envelope = m
	}
}

// portions cuts mutations so that each part fits into an entry of the store;
// there is at least one. Only erasing a user can need several: they are not one
// commit, and after a crash between them a part of him is left until a repeat.
func portions(ms []storage.Mutation) (all [][]storage.Mutation) {
	const enough = storage.MaxEntryBytes / 2
	size, from := 0, 0
	for i := range ms {
		size += len(ms[i].Key) + len(ms[i].Value) + mutationBytes
		if size > enough && i > from {
			all = append(all, ms[from:i])
			size, from = len(ms[i].Key)+len(ms[i].Value)+mutationBytes, i
		}
	}
	return append(all, ms[from:])
}

const mutationBytes = 16 // what a mutation takes besides its key and value

func (a *Actor) reply(c actor.Context, done func(actors.Reply), r actors.Reply) {
	if done != nil {
		a.propose(c, &Step{Epoch: a.home.Epoch, Cell: a.cell, App: a.app, User: a.user, Done: done, Reply: r})
	}
}

// seen says that a message was decided before, looking only where it can be:
// in what is not durable yet and in the two days that the record names.
func (a *Actor) seen(message string, now time.Time) (bool, error) {
	a.settle()
	if slices.ContainsFunc(a.undurable, func(d decided) bool { return d.p != nil && d.p.Message == message }) {
		return true, nil
	}
	v := vials.Get().(*vial)
	defer vials.Put(v)
	for _, day := range a.daysToAsk(now) {
		if day == 0 || !a.recent.maybe(day, message) {
			continue
		}
		v.key = a.outcomeKey(v.key[:0], day, message)
		switch _, err := a.home.Deps.Store.Get(v.key); {
		case err == nil:
			return true, nil
		case !errors.Is(err, storage.ErrNotFound):
			return false, err
		}
	}
	return false, nil
}

// daysToAsk are those of the last two days with decisions that are not before
// yesterday, else 0. There are days to come among them when a clock was set back.
func (a *Actor) daysToAsk(now time.Time) [2]uint16 {
	today := unixDay(now)
	a.begin(today)
	days, err := decodeDays(a.record)
	if a.record == "" || err != nil {
		return [2]uint16{today, today - 1} // no record, no days: the store must be asked
	}
	for i, day := range days {
		if day+1 < today {
			days[i] = 0
		}
	}
	return days
}

// lastDay is the last with decisions that outcomes may be of: today, or a day to
// come when a clock was set back since, by no more than outcomes are kept. Nobody
// knows of those of somebody unknown.
func (a *Actor) lastDay(today uint16) uint16 {
	if a.record == "" {
		return today + OutcomeDays
	}
	days, err := decodeDays(a.record)
	if last := max(days[0], days[1]); err == nil && last > today && last-today <= OutcomeDays {
		return last
	}
	return today
}

// begin forgets the messages of another day. The new day's are known from its
// beginning if the record, which names every day with decisions, does not have it.
func (a *Actor) begin(day uint16) {
	if a.recent.day == day {
		return
	}
	a.recent = recent{day: day}
	if a.record != "" {
		days, err := decodeDays(a.record)
		a.recent.whole = err == nil && !slices.Contains(days[:], day)
	}
}

// appendOutbox seals what a push is made of into the message's outbox entry.
func (a *Actor) appendOutbox(b []byte, p *Pending) []byte {
	v := vials.Get().(*vial)
	defer vials.Put(v)
	var err error
	if v.plain, err = (proto.MarshalOptions{}).MarshalAppend(v.plain[:0], p.Payload); err != nil {
		panic(err) //nolint:forbidigo // only invalid UTF-8 fails, which no decoder lets in
	}
	v.aad = a.appendAAD(v.aad[:0], p.Message, "")
	v.sealed = a.home.Deps.Ring.Seal(v.sealed[:0], v.aad, v.plain)
	return p.EncodeOutbox(b, v.sealed)
}

func internal(msg string) actors.Reply {
	return actors.Reply{
		Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED,
		Err:    &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_INTERNAL, Message: msg},
	}
}
