package gateway

import (
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	maxEvents = 1024 // of a batch
	// maxDeliveries bounds what one batch fans out to. Events that would go
	// beyond are refused as OVERLOADED: repeated in a batch of their own they
	// find room, as one event has at most 1024 recipients.
	maxDeliveries = 16 * 1024
	maxSkew       = 10 * time.Minute
)

// batch is events on their way to the actors of their users.
type batch struct {
	seq        uint64
	events     []verdict
	deliveries []delivery
	// waiting counts the deliveries without an answer, and one more while the
	// batch is being submitted.
	waiting atomic.Int32
	// finished is called once, by whoever brings the last answer, or when AnswerTime
	// is over; it must not block.
	finished func(*batch)
	over     atomic.Bool // it was called
	late     *time.Timer // set before waiting can become 0
}

// verdict of one event: refused here, or its deliveries up to end (exclusive);
// they start at the end of the event before.
type verdict struct {
	refused *rousev1.Error
	end     int
}

// delivery is one event on its way to one user.
type delivery struct {
	envelope actors.Envelope
	batch    *batch
	// reply is written before answered is set, and not after.
	reply    actors.Reply
	answered atomic.Bool
}

func (d *delivery) done(r actors.Reply) {
	d.reply = r
	d.answered.Store(true)
	d.batch.arrived()
}

func (b *batch) arrived() {
	if b.waiting.Add(-1) == 0 && b.over.CompareAndSwap(false, true) {
		b.late.Stop()
		b.finished(b)
	}
}

// giveUp ends a batch that has not all of its answers.
func (g *Gateway) giveUp(b *batch, app string) {
	if !b.over.CompareAndSwap(false, true) {
		return
	}
	missing := 0
	for i := range b.deliveries {
		if !b.deliveries[i].answered.Load() {
			missing++
		}
	}
	g.Logger.Warn("users gave no answer to events; these are refused with DEADLINE, and their effect is unknown",
		"app", app, "missing", missing, "of", len(b.deliveries), "after", g.AnswerTime)
	b.finished(b)
}

// submit checks the events one by one and brings the good ones to the actors of
// their users, in the order of the batch. Messages are shared by all their
// recipients: nobody may change an event after this.
func (g *Gateway) submit(b *batch, app string, node actors.Node, events []*rousev1.Event, now time.Time) {
	b.events = make([]verdict, len(events))
	refused := g.refuseAll(now)
	var hooks []hooked
	if refused == nil {
		events = extend(b, events)
		if hooks = g.askBefore(app, events, now); hooks != nil {
			events = slices.Clone(events)
		}
	}
	total := 0
	for i, e := range events {
		v := &b.events[i]
		if v.refused == nil {
			v.refused = refused
		}
		if v.refused == nil && hooks != nil {
			v.refused = hooks[i].refused
			if hooks[i].event != nil {
				e = hooks[i].event
				events[i] = e
			}
		}
		if v.refused == nil {
			if v.refused = g.checkEvent(e, now); v.refused == nil && total+recipients(e) > maxDeliveries {
				v.refused = g.tooWide
			}
		}
		if v.refused == nil {
			total += recipients(e)
		}
		v.end = total
	}
	b.deliveries = make([]delivery, total)
	b.waiting.Store(int32(total) + 1)
	b.late = time.AfterFunc(g.AnswerTime, func() { g.giveUp(b, app) })
	g.nameSenders(b, app, events)
	g.fanOut(b, app, node, events, hooks)
}

// fanOut brings the events that were not refused to their users.
func (g *Gateway) fanOut(b *batch, app string, node actors.Node, events []*rousev1.Event, hooks []hooked) {
	next := 0
	for i, e := range events {
		if b.events[i].refused != nil {
			continue
		}
		command := commandOf(e)
		for n := range recipients(e) {
			d := &b.deliveries[next]
			next++
			d.batch = b
			d.envelope = actors.Envelope{App: app, User: recipient(e, n), Node: node, Command: command, Done: d.done}
			if hooks != nil {
				d.envelope.Stopped = hooks[i].stops(d.envelope.User)
			}
			g.Router(&d.envelope)
		}
	}
	b.arrived()
}

// refuseAll is why no event can be taken now.
func (g *Gateway) refuseAll(now time.Time) *rousev1.Error {
	if g.Writable(now) != nil {
		return g.diskFull
	}
	return nil
}

// checkLength refuses a batch as a whole; all else is told event by event.
func checkLength(events []*rousev1.Event) error {
	switch n := len(events); {
	case n == 0:
		return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "events: a batch needs at least one")
	case n > maxEvents:
		return refuse(rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, "events: %d in one batch; send at most %d", n, maxEvents)
	}
	return nil
}

func (g *Gateway) checkEvent(e *rousev1.Event, now time.Time) *rousev1.Error {
	if e == nil {
		return complaint(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "the event is empty")
	}
	if !wellFormed(e) {
		if err := g.check(e); err != nil {
			return err
		}
	}
	if at := e.GetMessage().GetSentAt(); at != nil && at.AsTime().Sub(now) > maxSkew {
		return complaint(rousev1.ErrorCode_ERROR_CODE_CLOCK_SKEW, "message.sent_at is more than %s in the future; set the clocks of the IM node and of this server", maxSkew)
	}
	return nil
}

// recipients of an event that was checked: at least one.
func recipients(e *rousev1.Event) int {
	switch kind := e.GetKind().(type) {
	case *rousev1.Event_Message:
		return len(kind.Message.GetRecipients())
	case *rousev1.Event_Recall:
		return len(kind.Recall.GetRecipients())
	}
	return 1
}

func recipient(e *rousev1.Event, n int) string {
	switch kind := e.GetKind().(type) {
	case *rousev1.Event_Message:
		return kind.Message.GetRecipients()[n]
	case *rousev1.Event_Presence:
		return kind.Presence.GetUserId()
	case *rousev1.Event_Fetched:
		return kind.Fetched.GetUserId()
	case *rousev1.Event_Recall:
		return kind.Recall.GetRecipients()[n]
	default:
		return e.GetRead().GetUserId()
	}
}

func commandOf(e *rousev1.Event) proto.Message {
	switch kind := e.GetKind().(type) {
	case *rousev1.Event_Message:
		return kind.Message
	case *rousev1.Event_Presence:
		return kind.Presence
	case *rousev1.Event_Fetched:
		return kind.Fetched
	case *rousev1.Event_Recall:
		return kind.Recall
	default:
		return e.GetRead()
	}
}

// results appends one result for each event to dst. What has no answer yet is
// refused with DEADLINE: its effect is unknown.
func (g *Gateway) results(dst []*rousev1.ItemResult, b *batch) []*rousev1.ItemResult {
	start := 0
	for i := range b.events {
		v := &b.events[i]
		result := refusedItem(v.refused)
		if v.refused == nil {
			result = g.merge(b.deliveries[start:v.end])
		}
		start = v.end
		g.metrics.answered(result)
		dst = append(dst, result)
	}
	return dst
}

func refusedItem(err *rousev1.Error) *rousev1.ItemResult {
	if err == nil {
		return nil
	}
	return &rousev1.ItemResult{Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED, Error: err}
}

// settled are the results without an error; they are shared and never change.
var settled = func() map[rousev1.ItemStatus]*rousev1.ItemResult {
	m := make(map[rousev1.ItemStatus]*rousev1.ItemResult)
	for n := range rousev1.ItemStatus_name {
		m[rousev1.ItemStatus(n)] = &rousev1.ItemResult{Status: rousev1.ItemStatus(n)}
	}
	return m
}()

// merge makes one result of the answers of an event's recipients: refused when
// one of them is, with the error of the first; duplicate or stale when all are;
// else accepted.
func (g *Gateway) merge(all []delivery) *rousev1.ItemResult {
	status := rousev1.ItemStatus_ITEM_STATUS_UNSPECIFIED
	for i := range all {
		reply := actors.Reply{Err: g.deadline}
		if all[i].answered.Load() {
			reply = all[i].reply
		}
		switch {
		case reply.Err != nil:
			return refusedItem(reply.Err)
		case i == 0:
			status = reply.Status
		case status != reply.Status:
			status = rousev1.ItemStatus_ITEM_STATUS_ACCEPTED
		}
	}
	if result, ok := settled[status]; ok {
		return result
	}
	return settled[rousev1.ItemStatus_ITEM_STATUS_ACCEPTED]
}
