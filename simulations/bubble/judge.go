package bubble

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/oracle"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/model"
	"github.com/rouse-im/rouse/simulations/report"
	"github.com/rouse-im/rouse/storage"
)

// Result of a run.
type Result struct {
	// History is what was written down and is in the stores at the end.
	History *checker.History
	// Checks has the answer of each invariant.
	Checks []checker.Result
	// Model says where decisions differ from the second implementation; Examined
	// are the decisions that it had an opinion on.
	Model    []error
	Examined int
	// Wrong are the same, for reports.
	Wrong []report.Wrong
	// Faults of the engine: what was refused, never answered or did not start,
	// replicas that differ.
	Faults []error
	// Lost are users of whom the model says nothing, and why.
	Lost map[string]string
}

// Caught lists by name what found something; nil = all is well.
func (r *Result) Caught() (by []string) {
	if len(r.Faults) > 0 {
		by = append(by, "engine")
	}
	if len(r.Model) > 0 {
		by = append(by, "model")
	}
	for _, c := range r.Checks {
		if c.Breaches > 0 {
			by = append(by, c.Name)
		}
	}
	return by
}

// Err joins all that was found.
func (r *Result) Err() error {
	return errors.Join(errors.Join(r.Faults...), errors.Join(r.Model[:min(len(r.Model), maxFaults)]...), checker.Broken(r.Checks))
}

// judge waits until all has ended, restarts all nodes from what their disks
// surely hold, and looks at what is there.
func (e *Engine) judge() (*Result, error) {
	e.healing.Wait()
	e.pause(aftermath)
	registers := e.registers.close()
	if err := e.await("all nodes serve", e.allServe); err != nil {
		return nil, err
	}
	e.settled()
	drained := e.drained()
	e.pause(repeats) // claims of tokens that got no answer
	if err := e.await("the replicas are equal", func() bool { return e.differing() == nil }); err != nil {
		e.fault("%v", errors.Join(err, e.differing()))
	}
	if err := e.metrics(); err != nil {
		return nil, err
	}
	for _, m := range e.machines {
		m.kill(0)
	}
	for _, m := range e.machines {
		m.ahead.Store(0)
		m.start()
	}
	if err := e.await("all nodes serve after a power loss", e.allServe); err != nil {
		return nil, err
	}
	e.o.Progress.enter("judging")
	h := &checker.History{
		Limits: checker.Limits{Start: e.o.Start, Handover: simulations.At(handover), Drain: simulations.At(e.o.Drain)},
		Events: e.events, Faults: e.broken, Stops: e.stops, Gauges: drained, Pushes: e.sent(), Registers: registers,
	}
	h.Limits.TTL = simulations.At(cmp.Or(e.o.Settings.GetDefaultTtl().AsDuration(), 24*time.Hour))
	e.acks(h)
	if err := e.read(h); err != nil {
		return nil, err
	}
	if err := e.search(h); err != nil {
		return nil, err
	}
	h.Canaries = append(h.Canaries, e.secrets.canaries()...)
	e.witness(h)
	e.limits(h)
	h.Doubt(simulations.At(2 * time.Second))
	e.compare(h)
	r := &Result{History: h, Faults: e.faults}
	e.opinion(r)
	r.Checks = h.Run()
	return r, nil
}

// repeats is above the time after which shards ask each other again.
const repeats = 7 * time.Second

// handover is how long a push may be under way: a node that was cut off, or
// that died, sends no more after it.
const handover = 15 * time.Second

func (e *Engine) allServe() bool {
	return !slices.ContainsFunc(e.machines, func(m *machine) bool { return !m.run.Load().serving() })
}

// settled waits until all that was told is answered.
func (e *Engine) settled() {
	e.clients.mu.Lock()
	var open []chan struct{}
	for _, done := range e.clients.last {
		open = append(open, done)
	}
	e.clients.mu.Unlock()
	for _, done := range open {
		<-done
	}
}

// drained waits until no push waits, in a lane or with its user for its time to
// come, and tells how full the lanes are.
func (e *Engine) drained() (gauges []checker.Gauge) {
	waiting := func(m *machine) (n int) {
		for _, l := range m.run.Load().node.Lanes().All() {
			n += l.Stats().Reserved
		}
		return n
	}
	limit := time.Now().Add(e.o.Drain)
	for time.Now().Before(limit) && slices.ContainsFunc(e.machines, func(m *machine) bool { return waiting(m) > 0 || e.owes(m) }) {
		e.pause(time.Second)
	}
	for _, m := range e.machines {
		gauges = append(gauges, checker.Gauge{At: min(e.now(), e.until+simulations.At(e.o.Drain)), Node: m.name, Name: "pushes", Value: float64(waiting(m)), Backlog: true})
	}
	return gauges
}

// owes tells whether a node's store knows of a push that has not ended.
func (e *Engine) owes(m *machine) (owes bool) {
	node := m.run.Load().node
	for shard := uint16(1); shard <= uint16(e.o.Shards) && !owes; shard++ {
		err := node.Store().Scan(storage.OutboxRange(shard), func(_, _ []byte) bool { owes = true; return false })
		if err != nil {
			return false // it stops
		}
	}
	return owes
}

// differing says which replicas of a shard hold something else than others.
func (e *Engine) differing() error {
	for group := range uint16(e.o.Shards + 1) {
		var first [][2][]byte
		from := ""
		for _, m := range e.machines {
			node := m.run.Load().node
			if !node.Holds(group) {
				continue
			}
			all, err := contents(node.Store(), group)
			switch {
			case err != nil:
				return err
			case from == "":
				first, from = all, m.name
			case !slices.EqualFunc(first, all, func(a, b [2][]byte) bool { return bytes.Equal(a[0], b[0]) && bytes.Equal(a[1], b[1]) }):
				return fmt.Errorf("shard %d on %s differs from that on %s: %d and %d keys", group, m.name, from, len(all), len(first))
			}
		}
	}
	return nil
}

func contents(s *storage.Store, group uint16) (all [][2][]byte, err error) {
	for _, r := range storage.ShardRanges(group) {
		err = errors.Join(err, s.Scan(r, func(key, value []byte) bool {
			all = append(all, [2][]byte{bytes.Clone(key), bytes.Clone(value)})
			return true
		}))
	}
	return all, err
}

// acks puts the answers of an event's users together.
func (e *Engine) acks(h *checker.History) {
	of := map[uint64]*checker.Ack{}
	for _, t := range e.clients.told {
		if t.copy > 0 {
			continue
		}
		a := of[t.Event.N]
		if a == nil {
			a = &checker.Ack{Event: t.Event.N, Sent: t.Sent, Status: status(t)}
			of[t.Event.N] = a
		}
		a.Sent, a.Answered = min(a.Sent, t.Sent), max(a.Answered, t.Answered)
		if status(t) == "unknown" {
			a.Status = "unknown"
		}
	}
	for _, n := range slices.Sorted(maps.Keys(of)) {
		h.Acks = append(h.Acks, *of[n])
	}
}

// status of what was told for the first time. A duplicate was applied then, by an
// attempt before: the client's, or the router's, that repeats what has no answer in
// time, and whose first answer may come too late to be passed on.
func status(t told) string {
	switch t.Status {
	case rousev1.ItemStatus_ITEM_STATUS_ACCEPTED, rousev1.ItemStatus_ITEM_STATUS_DUPLICATE:
		return "accepted"
	case rousev1.ItemStatus_ITEM_STATUS_STALE:
		if t.unsure {
			return "unknown"
		}
		return "stale"
	case rousev1.ItemStatus_ITEM_STATUS_REFUSED, rousev1.ItemStatus_ITEM_STATUS_UNSPECIFIED:
	}
	return "refused"
}

// read outcomes and devices of all users from their actors.
func (e *Engine) read(h *checker.History) error {
	users, number, tokens := map[string]bool{}, map[string]uint64{}, map[[3]string]string{}
	for _, ev := range h.Events {
		for _, u := range ev.Users() {
			users[u] = true
		}
		switch ev.Kind {
		case simulations.Message:
			number[ev.Message] = ev.N
		case simulations.Bind:
			tokens[[3]string{ev.User, ev.Notifier, tail(ev.Token)}] = ev.Token
		}
	}
	r := rand.New(rand.NewPCG(e.o.Seed, 3))
	for _, user := range slices.Sorted(maps.Keys(users)) {
		e.o.Progress.moves.Add(1)
		outcomes, err := ask[*rousev1.ListOutcomesResponse](e, user, &rousev1.ListOutcomesRequest{UserId: user, Limit: 1000}, r)
		if err != nil {
			return err
		}
		for _, o := range outcomes.GetOutcomes() {
			h.Outcomes = append(h.Outcomes, e.outcome(user, o, number[o.GetMessageId()]))
		}
		devices, err := ask[*rousev1.ListDevicesResponse](e, user, &rousev1.ListDevicesRequest{UserId: user}, r)
		if err != nil {
			return err
		}
		for _, d := range devices.GetDevices() {
			s := checker.Stored{User: user, Device: d.GetDeviceId(), Session: d.GetSession(), Step: d.GetStep(), Count: int(d.GetOfflineCount()), Tokens: map[string]string{}}
			for _, b := range slices.Backward(d.GetBindings()) {
				s.Tokens[b.GetNotifier()] = tokens[[3]string{user, b.GetNotifier(), b.GetTokenTail()}]
			}
			h.Stored = append(h.Stored, s)
		}
	}
	return nil
}

func tail(token string) string { return token[max(0, len(token)-6):] }

func (e *Engine) outcome(user string, o *rousev1.Outcome, event uint64) checker.Outcome {
	out := checker.Outcome{
		App: appID, Event: event, User: user, Message: o.GetMessageId(), Device: o.GetDeviceId(), Notifier: o.GetNotifier(),
		Status: strings.ToLower(strings.TrimPrefix(o.GetStatus().String(), "OUTCOME_STATUS_")), Reason: o.GetReason().String(),
		PushID: o.GetPushId(), Decided: e.offset(o.GetDecidedAt().AsTime()),
	}
	if o.Badge != nil {
		badge := int(o.GetBadge())
		out.Badge = &badge
	}
	if o.EndedAt != nil {
		out.Ended = e.offset(o.GetEndedAt().AsTime())
	}
	return out
}

// ask until there is an answer.
func ask[R proto.Message](e *Engine, user string, m proto.Message, r *rand.Rand) (response R, err error) {
	for range 100 {
		reply, ok := e.clients.ask(&actors.Envelope{App: appID, User: user, Command: m}, r)
		if ok && reply.Err == nil {
			return reply.Response.(R), nil
		}
		e.pause(100 * time.Millisecond)
		err = fmt.Errorf("asking %s: no answer: %v", user, reply.Err)
	}
	return response, err
}

// compare what vendors took with what the engine says.
func (e *Engine) compare(h *checker.History) {
	e.vendors.mu.Lock()
	defer e.vendors.mu.Unlock()
	sent := map[[2]string]int{}
	for _, p := range h.Pushes {
		if p.Answer == "accepted" || p.Answer == "none" {
			sent[[2]string{p.PushID, p.Token}]++
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(e.vendors.taken), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		if n := e.vendors.taken[key]; n > sent[key] && sent[key] > 0 {
			e.fault("push %s was taken %d times, and sent %d times", key[0], n, sent[key])
		}
	}
}

// opinion asks the model.
func (e *Engine) opinion(r *Result) {
	expected, lost, again := e.expect(r.History)
	decided := map[[2]string][]model.Decision{}
	for _, o := range r.History.Outcomes {
		d := model.Decision{Device: o.Device, Badge: -1, Reason: rousev1.Reason(rousev1.Reason_value[o.Reason])}
		if o.PushID != "" {
			d.Reason = rousev1.Reason_REASON_QUEUED
		}
		if o.Badge != nil {
			d.Badge = *o.Badge
		}
		key := [2]string{o.User, o.Message}
		decided[key] = append(decided[key], d)
	}
	// A message that came when nobody knew its user is decided anew when it is
	// repeated, also by an attempt that arrives late: each of its decisions is right.
	wrong := map[[2]string][]report.Wrong{}
	at, undated := map[uint64]simulations.Offset{}, map[uint64]bool{}
	for _, ev := range r.History.Events {
		at[ev.N] = ev.At
	}
	for _, a := range r.History.Acks {
		undated[a.Event] = !r.History.Dated(a.Answered)
	}
	rivals, forgotten, erased := e.rivals(), e.forgotten(), e.erasedAt()
	right, waits := map[[2]string]bool{}, map[[3]string]bool{}
	for _, x := range expected {
		key := [2]string{x.User, x.Message}
		for _, device := range x.Delayed() {
			waits[[3]string{x.User, x.Message, device}] = true
		}
		if forgotten[key] {
			continue
		}
		pushed(&x)
		nobody := func(d model.Decision) bool { return d.Reason == rousev1.Reason_REASON_NO_USER }
		if _, silent := lost[x.User]; (unknown(&x) || slices.ContainsFunc(decided[key], nobody)) && (silent || again[key]) {
			continue
		}
		err := x.Allows(decided[key])
		_, unknown := erased[x.User] // of whom a decision may be dated on a day to come
		if err != nil && undated[x.Event] && (rivals[x.User] || unknown && len(decided[key]) == 0 || timely(&x, decided[key])) {
			continue
		}
		r.Examined++
		if err != nil {
			wrong[key] = append(wrong[key], report.Wrong{At: at[x.Event].Duration(), Event: x.Event, Text: err.Error()})
			continue
		}
		right[key] = true
	}
	for _, key := range slices.SortedFunc(maps.Keys(wrong), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		if !right[key] {
			r.Wrong = append(r.Wrong, wrong[key][0])
			r.Model = append(r.Model, errors.New(wrong[key][0].Text))
		}
	}
	for i := range r.History.Outcomes {
		o := &r.History.Outcomes[i]
		o.Delayed = waits[[3]string{o.User, o.Message, o.Device}]
	}
	r.Lost = lost
}

// rivals are the users of tokens of which clocks decide whose they are: those that
// several have bound, as each node judges by its own who did last; and those that were
// bound after their vendor had forgotten them, which it dates by another one.
func (e *Engine) rivals() map[string]bool {
	of, all := map[[2]string][]string{}, map[string]bool{}
	for _, t := range e.clients.told {
		if t.Event.Kind != simulations.Bind {
			continue
		}
		key := [2]string{t.Event.Notifier, t.Event.Token}
		if of[key] = append(of[key], t.User); slices.ContainsFunc(of[key], func(u string) bool { return u != t.User }) {
			for _, u := range of[key] {
				all[u] = true
			}
		}
	}
	for _, p := range e.vendors.pushes {
		if p.Answer == "invalid-token" && e.boundSince(p) {
			for _, u := range of[[2]string{p.Notifier, p.Token}] {
				all[u] = true
			}
		}
	}
	return all
}

// timely tells whether the time of day, or how much has passed, is a reason for what
// was decided or should have been.
func timely(x *model.Expectation, decided []model.Decision) bool {
	reasons := []rousev1.Reason{
		rousev1.Reason_REASON_MESSAGE_EXPIRED, rousev1.Reason_REASON_STALE_DEVICE, rousev1.Reason_REASON_DEVICE_CAP,
		rousev1.Reason_REASON_QUIET_WINDOW, rousev1.Reason_REASON_QUIET_DURATION, rousev1.Reason_REASON_QUIET_CONVERSATION,
	}
	return slices.ContainsFunc(append(slices.Clone(x.Either), decided), func(all []model.Decision) bool {
		return slices.ContainsFunc(all, func(d model.Decision) bool { return slices.Contains(reasons, d.Reason) })
	})
}

// pushed says "queued" of all that shall be pushed, as what the outcomes say.
func pushed(x *model.Expectation) {
	for i, either := range x.Either {
		either = slices.Clone(either)
		for j := range either {
			if either[j].Reason == rousev1.Reason_REASON_DELAYED {
				either[j].Reason = rousev1.Reason_REASON_QUEUED
			}
		}
		x.Either[i] = either
	}
}

// unknown tells whether nobody may have known the user.
func unknown(x *model.Expectation) bool {
	return slices.ContainsFunc(x.Either, func(all []model.Decision) bool {
		return len(all) == 1 && all[0].Reason == rousev1.Reason_REASON_NO_USER
	})
}

// stays of leases: a new leader of the meta group gives each another term, and who
// is cut off from it, but not from the voters of his shards, hears of no end.
func (e *Engine) stays(h *checker.History) (all []model.Stay) {
	for _, l := range h.Leads {
		if l.Shard == 0 {
			all = append(all, model.Stay{From: l.From, To: l.From + 2*simulations.At(e.o.Lease)})
		}
	}
	for _, f := range h.Faults {
		if f.Vendor == "" {
			all = append(all, model.Stay{From: f.At, To: f.At + f.For + simulations.At(aftermath)})
		}
	}
	slices.SortFunc(all, func(a, b model.Stay) int { return cmp.Compare(a.From, b.From) })
	return all
}

// credentials as the model needs to know them.
func (e *Engine) credentials() map[string]oracle.Credential {
	all := map[string]oracle.Credential{}
	for _, c := range e.vendors.fakes.Credentials() {
		all[c.GetName()] = oracle.Credential{VoIP: c.GetApns().GetVoip()}
	}
	return all
}

// boundSince tells whether the token was bound after the vendor had forgotten it,
// as it says: its answer is void then.
func (e *Engine) boundSince(p checker.Push) bool {
	return p.Since > 0 && slices.ContainsFunc(e.clients.told, func(t told) bool {
		return t.Event.Kind == simulations.Bind && t.Event.Token == p.Token && t.Sent > p.Since && t.Answered < p.Answered
	})
}

// sent is what vendors were sent, of which the history may doubt answers. That a
// token was dropped it may not: the next leader hears of it, or asks again.
func (e *Engine) sent() []checker.Push { return slices.Clone(e.vendors.pushes) }

type drop struct {
	notifier, token string
	from, to        simulations.Offset
}

// drops are tokens that a vendor called invalid, in order of time.
func (e *Engine) drops() (all []drop) {
	at := map[[2]string]int{}
	pushes := slices.Clone(e.vendors.pushes)
	slices.SortStableFunc(pushes, func(a, b checker.Push) int { return cmp.Compare(a.At, b.At) })
	for _, p := range pushes {
		if p.Answer != "invalid-token" || e.boundSince(p) {
			continue
		}
		key := [2]string{p.Notifier, p.Token}
		if i, ok := at[key]; ok {
			all[i].to = p.At + simulations.At(handover)
			continue
		}
		at[key] = len(all)
		all = append(all, drop{p.Notifier, p.Token, p.At, p.At + simulations.At(handover)})
	}
	return all
}
