package meta

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/internal/lease"
	"github.com/rouse-im/rouse/internal/quota"
)

// Handlers are what this node answers with. All but Trace, Report and Sending are for the
// leader of the meta group. One that is nil answers that this node cannot.
type Handlers struct {
	// Admin and Cluster execute a call of an administrator and return the encoded
	// response; they may take as long as their ctx. An error that matches
	// storage.ErrNotLeader or storage.ErrDropped means that nothing was changed.
	Admin   func(ctx context.Context, call *actorv1.AdminCall) ([]byte, error)
	Cluster func(ctx context.Context, call *actorv1.AdminCall) ([]byte, error)
	// Admit decides about a node that wants to be a member.
	Admit func(ctx context.Context, m *actorv1.Admit) (*actorv1.Admitted, error)
	// Quotas, Leases and Shares are asked for what their nodes take, hold and use.
	Quotas *quota.Book
	Leases *lease.Table
	Shares func(m *actorv1.ShareRequest, done func(*actorv1.ShareGrant, error))
	// Now is the clock by which the days of quotas go; with Quotas.
	Now func() time.Time
	// Trace searches the shards that this node leads, Report tells how it is.
	Trace  func(ctx context.Context, m *actorv1.TraceSearch) (*actorv1.TraceFound, error)
	Report func(ctx context.Context) ([]byte, error)
	// Sending tells what only this node knows of an app's sending.
	Sending func(ctx context.Context, m *actorv1.SendingRequest) (*actorv1.Sending, error)
}

// shell is the actor of a node.
type shell struct{ *Asker }

// Receive takes questions of all nodes and the answers to those of this one.
func (s *shell) Receive(c actor.Context) {
	defer func() {
		if r := recover(); r != nil {
			s.o.Logger.Error("the actor of the meta group panicked; this is a bug", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	switch m := c.Message().(type) {
	case *actorv1.MetaAsk:
		sender := c.Sender()
		if sender == nil {
			return
		}
		s.serve(m, func(answer *actorv1.MetaAnswer) {
			answer.Id = m.GetId()
			s.o.System.Root.Send(sender, answer)
		})
	case *actorv1.MetaAnswer:
		s.answered(m)
	}
}

// serve answers one question; done is called once, now or later, and does not
// block.
func (a *Asker) serve(m *actorv1.MetaAsk, done func(*actorv1.MetaAnswer)) {
	h := &a.o.Handlers
	switch body := m.GetBody().(type) {
	case *actorv1.MetaAsk_Trace:
		long(a, h.Trace, body.Trace, done, func(f *actorv1.TraceFound, answer *actorv1.MetaAnswer) {
			answer.Body = &actorv1.MetaAnswer_Trace{Trace: f}
		})
		return
	case *actorv1.MetaAsk_Sending:
		long(a, h.Sending, body.Sending, done, func(s *actorv1.Sending, answer *actorv1.MetaAnswer) {
			answer.Body = &actorv1.MetaAnswer_Sending{Sending: s}
		})
		return
	case *actorv1.MetaAsk_Report:
		var report func(context.Context, *actorv1.NodeReportRequest) ([]byte, error)
		if h.Report != nil {
			report = func(ctx context.Context, _ *actorv1.NodeReportRequest) ([]byte, error) { return h.Report(ctx) }
		}
		long(a, report, body.Report, done, func(b []byte, answer *actorv1.MetaAnswer) {
			answer.Body = &actorv1.MetaAnswer_Report{Report: b}
		})
		return
	}
	switch {
	case a.o.Leads():
	case m.GetRelayMs() > 0:
		a.pass(m, done)
		return
	default:
		done(redirect(a.elsewhere()))
		return
	}
	switch body := m.GetBody().(type) {
	case *actorv1.MetaAsk_Admin:
		long(a, h.Admin, body.Admin, done, a.responded)
	case *actorv1.MetaAsk_Cluster:
		long(a, h.Cluster, body.Cluster, done, a.responded)
	case *actorv1.MetaAsk_Admit:
		long(a, h.Admit, body.Admit, done, func(m *actorv1.Admitted, answer *actorv1.MetaAnswer) {
			answer.Body = &actorv1.MetaAnswer_Admitted{Admitted: m}
		})
	default:
		a.serveQuick(m, done)
	}
}

// responded says up to where the reader must have applied the group to see what
// was changed.
func (a *Asker) responded(b []byte, answer *actorv1.MetaAnswer) {
	answer.Body = &actorv1.MetaAnswer_Response{Response: b}
	if a.o.Applied != nil {
		answer.Applied = a.o.Applied()
	}
}

// serveQuick answers what is done in passing.
func (a *Asker) serveQuick(m *actorv1.MetaAsk, done func(*actorv1.MetaAnswer)) {
	h := &a.o.Handlers
	plain := func(err error) { done(a.answer(err)) }
	switch body := m.GetBody().(type) {
	case *actorv1.MetaAsk_Take:
		if h.Quotas == nil {
			break
		}
		h.Quotas.TakeHere(body.Take, h.Now(), func(n uint64, err error) {
			answer := a.answer(err)
			if err == nil {
				answer.Body = &actorv1.MetaAnswer_Taken{Taken: &actorv1.QuotaTaken{N: n}}
			}
			done(answer)
		})
		return
	case *actorv1.MetaAsk_GiveBack:
		if h.Quotas == nil {
			break
		}
		h.Quotas.ReturnHere(body.GiveBack, plain)
		return
	case *actorv1.MetaAsk_Exhaust:
		if h.Quotas == nil {
			break
		}
		h.Quotas.ExhaustHere(body.Exhaust, plain)
		return
	case *actorv1.MetaAsk_Grant:
		if h.Leases == nil {
			break
		}
		h.Leases.GrantHere(body.Grant.GetApp(), nodeOf(body.Grant), plain)
		return
	case *actorv1.MetaAsk_Renewal:
		if h.Leases == nil {
			break
		}
		h.Leases.Renewed(signsOf(body.Renewal))
		plain(nil)
		return
	case *actorv1.MetaAsk_Shares:
		if h.Shares == nil {
			break
		}
		h.Shares(body.Shares, func(grant *actorv1.ShareGrant, err error) {
			answer := a.answer(err)
			if err == nil {
				answer.Body = &actorv1.MetaAnswer_Shares{Shares: grant}
			}
			done(answer)
		})
		return
	}
	done(&actorv1.MetaAnswer{Error: unserved})
}

// long runs a handler that may take its time in a goroutine; too many of them
// are refused.
func long[M, R any](a *Asker, handle func(context.Context, M) (R, error), m M, done func(*actorv1.MetaAnswer), fill func(R, *actorv1.MetaAnswer)) {
	if handle == nil {
		done(&actorv1.MetaAnswer{Error: unserved})
		return
	}
	a.mu.Lock()
	ended := a.life.Err() != nil
	if !ended {
		a.work.Add(1)
	}
	a.mu.Unlock()
	if ended {
		done(redirect(""))
		return
	}
	select {
	case a.served <- struct{}{}:
	default:
		a.work.Done()
		done(&actorv1.MetaAnswer{Error: errOverloaded.Detail})
		return
	}
	go func() {
		defer a.work.Done()
		defer func() { <-a.served }()
		ctx, cancel := context.WithTimeout(a.life, defaultTime)
		defer cancel()
		r, err := handle(ctx, m)
		answer := a.answer(err)
		if err == nil {
			fill(r, answer)
		}
		done(answer)
	}()
}
