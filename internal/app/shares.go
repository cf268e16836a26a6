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
		key, ok := n.shareKey(l.App, l.Notifier)
		if !ok {
			continue
		}
		stats := l.Stats()
		all = append(all, meta.SharedLane{Key: key, Demand: stats.Demand(now), Set: l.SetShare})
	}
	return all
}

// shareKey names the account of a credential with a rate.
func (n *Node) shareKey(app, notifier string) (key quota.Key, ok bool) {
	known, ok := n.catalog.App(app)
	if !ok {
		return key, false
	}
	c, ok := known.Credential(notifier)
	if !ok || laneOptions(app, c, n.quotas).PerSecond == 0 {
		return key, false
	}
	return quota.Key{App: app, Notifier: notifier, Account: limitsOf(c).account}, true
}

// rateOf is the rate of an account in thousandths of a push per second; 0 = it
// has none, or is not the one in use.
func (n *Node) rateOf(key quota.Key) uint64 {
	if now, ok := n.shareKey(key.App, key.Notifier); !ok || now != key {
		return 0
	}
	app, _ := n.catalog.App(key.App)
	c, ok := app.Credential(key.Notifier)
	if !ok {
		return 0
	}
	return uint64(laneOptions(key.App, c, n.quotas).PerSecond * 1000)
}

// shared tells a lane that its rate is for all nodes together.
func (n *Node) shared(o lane.Options) lane.Options {
	o.Shared = n.clustered() && o.PerSecond > 0
	return o
}
