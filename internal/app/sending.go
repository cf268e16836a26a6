package app

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
)

// sendingHere tells what only this node knows of an app's sending: nothing of an
// app or a credential that it does not know yet, or no more.
func (n *Node) sendingHere(_ context.Context, m *actorv1.SendingRequest) (*actorv1.Sending, error) {
	s := &actorv1.Sending{}
	if m.GetCredential() == "" {
		queued, err := n.teller.Queued(m.GetApp())
		s.WebhookQueued = queued
		return s, err
	}
	app, ok := n.catalog.App(m.GetApp())
	if !ok {
		return s, nil
	}
	c, ok := app.Credential(m.GetCredential())
	if !ok {
		return s, nil
	}
	b, err := proto.Marshal(n.credentialStatus(app, c))
	s.Credential = b
	return s, err
}

// askSending asks all other members, at once; take is called for one answer at a
// time. missing are the names of those that gave none.
func (n *Node) askSending(ctx context.Context, m *actorv1.SendingRequest, take func(*actorv1.Sending) error) (missing []string) {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, member := range n.roster.View().Members() {
		if member.GetNode() == n.self {
			continue
		}
		asking.Go(func() {
			var s *actorv1.Sending
			if address := n.actorsOf(member.GetNode()); address != "" {
				s, _ = n.meta.Sending(ctx, address, m) // whoever gives no answer is named
			}
			mu.Lock()
			defer mu.Unlock()
			if s == nil || take(s) != nil {
				missing = append(missing, member.GetName())
			}
		})
	}
	asking.Wait()
	slices.Sort(missing)
	return missing
}

// credentialEverywhere tells how a credential is on all nodes together.
func (n *Node) credentialEverywhere(ctx context.Context, app *catalog.App, c *rousev1.Credential) (*rousev1.CredentialStatus, []string) {
	all := n.credentialStatus(app, c)
	missing := n.askSending(ctx, &actorv1.SendingRequest{App: app.ID(), Credential: c.GetName()}, func(s *actorv1.Sending) error {
		if len(s.GetCredential()) == 0 {
			return nil // it has just been put, and has not come there
		}
		one := &rousev1.CredentialStatus{}
		if err := proto.Unmarshal(s.GetCredential(), one); err != nil {
			return err
		}
		addStatus(all, one)
		return nil
	})
	if full := perSecondOf(c); full > 0 {
		all.PerSecond = min(all.GetPerSecond(), full) // a node without a share names the whole
	}
	return all, missing
}

// webhooksQueued counts on all nodes what waits for an app's webhook.
func (n *Node) webhooksQueued(ctx context.Context, app string) (queued uint64, missing []string, err error) {
	queued, err = n.teller.Queued(app)
	if err != nil {
		return 0, nil, err
	}
	missing = n.askSending(ctx, &actorv1.SendingRequest{App: app}, func(s *actorv1.Sending) error {
		queued += s.GetWebhookQueued()
		return nil
	})
	return queued, missing, nil
}

// addStatus adds how a credential is on one more node: what waits and goes is the
// sum, and the worst state is that of all.
func addStatus(all, one *rousev1.CredentialStatus) {
	all.Queued += one.GetQueued()
	all.InFlight += one.GetInFlight()
	if one.GetState() > all.GetState() { // they are in the order of what comes first
		all.State, all.Reason, all.VendorCode = one.GetState(), one.GetReason(), one.GetVendorCode()
	}
	all.PausedUntil = later(all.GetPausedUntil(), one.GetPausedUntil())
	all.PreviousUntil = later(all.GetPreviousUntil(), one.GetPreviousUntil())
	all.PerSecond += one.GetPerSecond()
	for _, q := range one.GetQuotas() {
		at := slices.IndexFunc(all.GetQuotas(), func(x *rousev1.QuotaUse) bool { return x.GetClass() == q.GetClass() })
		if at < 0 {
			all.Quotas = append(all.Quotas, q)
			continue
		}
		// Each node counts for all nodes, as of when it asked last.
		known := all.GetQuotas()[at]
		known.Used = max(known.GetUsed(), q.GetUsed())
		known.ExhaustedUntil = later(known.GetExhaustedUntil(), q.GetExhaustedUntil())
	}
}

func later(a, b *timestamppb.Timestamp) *timestamppb.Timestamp {
	if a == nil || b != nil && b.AsTime().After(a.AsTime()) {
		return b
	}
	return a
}
