package meta

import (
	"context"
	"time"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/internal/lease"
	"github.com/rouse-im/rouse/internal/quota"
)

const (
	// quickTime bounds questions that lanes and streams wait for.
	quickTime = 5 * time.Second
	// renewTime bounds a renewal; after that a later one is of more use.
	renewTime = 2 * time.Second
)

// Quotas are the ways of the lanes' accounts to the leader.
func (a *Asker) Quotas() *quota.Asks {
	quick := func(m *actorv1.MetaAsk, done func(*actorv1.MetaAnswer, error)) {
		a.Go(a.life, quickTime, m, done)
	}
	return &quota.Asks{
		Take: func(m *actorv1.QuotaTake, done func(uint64, error)) {
			quick(&actorv1.MetaAsk{Body: &actorv1.MetaAsk_Take{Take: m}}, func(answer *actorv1.MetaAnswer, err error) {
				done(answer.GetTaken().GetN(), err)
			})
		},
		Return: func(m *actorv1.QuotaReturn, done func(error)) {
			quick(&actorv1.MetaAsk{Body: &actorv1.MetaAsk_GiveBack{GiveBack: m}}, func(_ *actorv1.MetaAnswer, err error) { done(err) })
		},
		Exhaust: func(m *actorv1.QuotaExhaust) {
			quick(&actorv1.MetaAsk{Body: &actorv1.MetaAsk_Exhaust{Exhaust: m}}, func(*actorv1.MetaAnswer, error) {})
		},
	}
}

// Grant asks the leader for a lease of an IM node; see lease.Options.
func (a *Asker) Grant(app string, node actors.Node, done func(error)) {
	m := &actorv1.LeaseGrant{App: app, Name: node.Name, Incarnation: node.Incarnation}
	a.Go(a.life, quickTime, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Grant{Grant: m}}, func(_ *actorv1.MetaAnswer, err error) { done(err) })
}

// Renew tells the leader of signs of life; see lease.Options.
func (a *Asker) Renew(signs []lease.Sign, done func(error)) {
	m := &actorv1.LeaseRenewal{}
	for _, s := range signs {
		m.Signs = append(m.Signs, &actorv1.LeaseSign{App: s.App, Name: s.Node.Name, Incarnation: s.Node.Incarnation, AgeMs: s.Age.Milliseconds()})
	}
	a.Go(a.life, renewTime, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Renewal{Renewal: m}}, func(_ *actorv1.MetaAnswer, err error) { done(err) })
}

func signsOf(m *actorv1.LeaseRenewal) (signs []lease.Sign) {
	for _, s := range m.GetSigns() {
		signs = append(signs, lease.Sign{
			App: s.GetApp(), Node: actors.Node{Name: s.GetName(), Incarnation: s.GetIncarnation()}, Age: time.Duration(s.GetAgeMs()) * time.Millisecond,
		})
	}
	return signs
}

func nodeOf(m *actorv1.LeaseGrant) actors.Node {
	return actors.Node{Name: m.GetName(), Incarnation: m.GetIncarnation()}
}

// Forward executes a call of an administrator at the leader and returns the
// encoded response, once this node shows what it changed, or a second later.
func (a *Asker) Forward(ctx context.Context, call *actorv1.AdminCall) ([]byte, error) {
	return a.order(ctx, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Admin{Admin: call}})
}

// Order is Forward for an operator's order about the cluster.
func (a *Asker) Order(ctx context.Context, call *actorv1.AdminCall) ([]byte, error) {
	return a.order(ctx, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Cluster{Cluster: call}})
}

func (a *Asker) order(ctx context.Context, m *actorv1.MetaAsk) ([]byte, error) {
	answer, err := a.Ask(ctx, m)
	if err != nil {
		return nil, err
	}
	a.catchUp(ctx, answer.GetApplied())
	return answer.GetResponse(), nil
}

const (
	catchUpTime = time.Second
	catchUpLook = 5 * time.Millisecond
)

// catchUp waits until this node has applied the group up to index.
func (a *Asker) catchUp(ctx context.Context, index uint64) {
	if a.o.Applied == nil || a.o.Applied() >= index {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	for a.o.Applied() < index && sleep(ctx, catchUpLook) { //nolint:revive // all is in the condition
	}
}

// Trace searches the shards that the node at address leads.
func (a *Asker) Trace(ctx context.Context, address string, m *actorv1.TraceSearch) (*actorv1.TraceFound, error) {
	answer, err := a.AskNode(ctx, address, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Trace{Trace: m}})
	return answer.GetTrace(), err
}

// Report asks the node at address how it is; the report is encoded.
func (a *Asker) Report(ctx context.Context, address string) ([]byte, error) {
	answer, err := a.AskNode(ctx, address, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Report{Report: &actorv1.NodeReportRequest{}}})
	return answer.GetReport(), err
}

// Sending asks the node at address about an app's sending. nil without an error =
// it is of an older release.
func (a *Asker) Sending(ctx context.Context, address string, m *actorv1.SendingRequest) (*actorv1.Sending, error) {
	answer, err := a.AskNode(ctx, address, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Sending{Sending: m}})
	return answer.GetSending(), err
}

// Admit asks the leader to be a member. Who is none yet knows no leader: the node
// whose actors are at seed leads him there.
func (a *Asker) Admit(ctx context.Context, seed string, m *actorv1.Admit) (*actorv1.Admitted, error) {
	answer, err := a.ask(ctx, seed, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Admit{Admit: m}})
	return answer.GetAdmitted(), err
}
