package app

import (
	"time"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/internal/quota"
)

// quotaAsks are the ways of the lanes' accounts to the leader of the meta group.
func (n *Node) quotaAsks() *quota.Asks {
	return &quota.Asks{
		Take:    func(m *actorv1.QuotaTake, done func(uint64, error)) { n.quotas.TakeHere(m, time.Now(), done) },
		Return:  func(m *actorv1.QuotaReturn, done func(error)) { n.quotas.ReturnHere(m, done) },
		Exhaust: func(m *actorv1.QuotaExhaust) { n.quotas.ExhaustHere(m, func(error) {}) },
	}
}

func (n *Node) grant(app string, node actors.Node, done func(error)) {
	n.leases.GrantHere(app, node, done)
}
