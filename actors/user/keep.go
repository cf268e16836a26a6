package user

import (
	"errors"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// keepSteps writes the steps of a message as soon as they are worth keeping;
// until then they stay with the outbox entry.
func (a *Actor) keepSteps(t *turn, p *Pending) {
	if p.Steps == "" || p.Traced {
		return
	}
	if !p.keepsSteps(t.env.App.TraceSample) {
		if p.done() {
			p.Steps = ""
		}
		return
	}
	w := &t.page
	w.buf = a.traceKey(w.buf, unixDay(time.UnixMilli(p.DecidedAt)), p.Message)
	key := len(w.buf)
	w.buf = append(w.buf, p.Steps...)
	w.put(storage.Set, key)
	p.Traced = true
}

func (a *Actor) traceKey(b []byte, day uint16, message string) []byte {
	return storage.AppendTraceKey(b, storage.TraceKey{Shard: a.home.Shard, Day: day, App: a.app, Message: message, User: a.user})
}

func (a *Actor) forgetSteps(p *Pending) storage.Mutation {
	return storage.Mutation{Op: storage.Delete, Key: a.traceKey(nil, unixDay(time.UnixMilli(p.DecidedAt)), p.Message)}
}

// traces tells of the newest messages, or of one.
func (a *Actor) traces(q *rousev1.TraceRequest, now time.Time) actors.Reply {
	found, err := a.newest(q.GetMessageId(), int(q.GetLimit()), now)
	if err != nil {
		return a.unreadable("outcomes", err)
	}
	out := &rousev1.TraceResponse{}
	for _, p := range found {
		told, err := a.steps(p)
		if err != nil {
			return a.unreadable("steps of a decision", err)
		}
		out.Traces = append(out.Traces, p.trace(a.app, a.user, told))
	}
	return actors.Reply{Status: accepted, Response: out}
}

// steps are with the message or in a record of their own; or nowhere, if all
// went well.
func (a *Actor) steps(p *Pending) (*steps, error) {
	trail := p.Steps
	if trail == "" {
		v := vials.Get().(*vial)
		defer vials.Put(v)
		v.key = a.traceKey(v.key[:0], unixDay(time.UnixMilli(p.DecidedAt)), p.Message)
		rec, err := a.home.Deps.Store.Get(v.key)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, err
		}
		trail = string(rec)
	}
	return decodeSteps(trail, millis(p.DecidedAt))
}
