package app

import (
	"time"

	"github.com/rouse-im/rouse/actors/lane"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/meta"
	"github.com/rouse-im/rouse/internal/quota"
)

// sharedLanes are this node's lanes with a rate, which all nodes share.
func (n *Node) sharedLanes(now time.Time) (all []meta.SharedLane) {
	for _, l := range n.lanes.All() {
		key, _, ok := n.shareOf(l.App, l.Notifier)
		if !ok {
			continue
		}
		stats := l.Stats()
		all = append(all, meta.SharedLane{Key: key, Demand: stats.Demand(now), Set: l.SetShare})
	}
	return all
}

// sharing is what divides the rate of a credential: asked for each second, while
// the account of some vendors is the digest of a key file.
type sharing struct {
	of        *rousev1.Credential // immutable: a change makes another
	account   string
	perSecond float64
}

// shareOf names the account of a credential with a rate, and the rate.
func (n *Node) shareOf(app, notifier string) (key quota.Key, perSecond float64, ok bool) {
	known, ok := n.catalog.App(app)
	if !ok {
		return key, 0, false
	}
	c, ok := known.Credential(notifier)
	if !ok {
		return key, 0, false
	}
	s := n.sharingOf(app, c)
	return quota.Key{App: app, Notifier: notifier, Account: s.account}, s.perSecond, s.perSecond > 0
}

func (n *Node) sharingOf(app string, c *rousev1.Credential) *sharing {
	name := credentialName{app, c.GetName()}
	if s, ok := n.sharings.Load(name); ok && s.(*sharing).of == c {
		return s.(*sharing)
	}
	s := &sharing{of: c, account: limitsOf(c).account, perSecond: perSecondOf(c)}
	n.sharings.Store(name, s)
	return s
}

// rateOf is the rate of an account in thousandths of a push per second; 0 = it
// has none, or is not the one in use.
func (n *Node) rateOf(key quota.Key) uint64 {
	now, perSecond, ok := n.shareOf(key.App, key.Notifier)
	if !ok || now != key {
		return 0
	}
	return uint64(perSecond * 1000)
}

// shared tells a lane that its rate is for all nodes together.
func (n *Node) shared(o lane.Options) lane.Options {
	o.Shared = n.clustered() && o.PerSecond > 0
	return o
}
