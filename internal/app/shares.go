package app

import (
	"time"

	"github.com/rouse-im/rouse/actors/lane"
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
	key = quota.Key{App: app, Notifier: notifier, Account: limitsOf(c).account}
	perSecond = laneOptions(app, c, n.quotas).PerSecond
	return key, perSecond, perSecond > 0
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
