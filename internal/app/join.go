package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

const (
	admitTime  = 2 * time.Second // for one question
	admitPause = 500 * time.Millisecond
	// announceEvery is how often a node looks whether its record is up to date.
	announceEvery = 5 * time.Second
)

// begin makes this node a member: of the cluster that its data belong to, of the
// one that it shall join, or of a new one.
func (n *Node) begin() error {
	c := n.o.Config
	held := n.engine.Groups() // with those that a leader elsewhere counts on and that are empty yet
	if n.excluded() {
		return n.join() // which says why it is not one of them any more
	}
	if id := n.roster.View().Cluster(); id != "" {
		if only := n.roster.View().Members(); c.Cluster.Join != "" && len(only) == 1 {
			n.log.Warn("the data of this node belong to a cluster of which it is the only member, so it waits for others to join; to have it join another cluster, start it with an empty data directory", "cluster", id, "join", c.Cluster.Join)
		}
		n.noteMember()
		return nil // with how many others it makes a cluster is in its records
	}
	for _, group := range held {
		if !n.votesAlone(group) { // it was admitted before, and its records did not arrive
			return n.join()
		}
	}
	facts, err := n.holdsFacts()
	if err == nil && (len(held) > 0 || !n.clustered() || c.Cluster.Join == "") {
		return n.foundHere(len(held) == 0 && !facts)
	}
	if err != nil || facts {
		return errors.Join(err, fmt.Errorf("%s holds the facts of a server that was alone, and joining another would delete them: "+
			"start this server without cluster.join and let the others join it, or start it with an empty data directory", c.Data.Dir))
	}
	return n.join()
}

// votesAlone tells whether a group has no other replica than this node's.
func (n *Node) votesAlone(group uint16) bool {
	s, err := n.engine.Status(group)
	return err == nil && len(s.Outgoing) == 0 && slices.Equal(s.Voters, []uint64{n.self})
}

// holdsFacts tells whether the store has records of the meta group, as each has
// that ever served.
func (n *Node) holdsFacts() (found bool, err error) {
	for _, r := range storage.ShardRanges(storage.MetaShard) {
		err = errors.Join(err, n.store.Scan(r, func(_, _ []byte) bool { found = true; return false }))
	}
	return found, err
}

// join asks the members until they admit this node, and waits for the replica of
// the meta group that they give it.
func (n *Node) join() error {
	told := ""
	for {
		err := n.askToBeAdmitted(n.starting)
		switch {
		case err == nil:
			n.noteMember()
			n.log.Info("admitted to the cluster; waiting for a replica of its meta group")
			return n.awaitMeta()
		case n.starting.Err() != nil:
			return fmt.Errorf("not admitted to the cluster: %w", errors.Join(context.Cause(n.starting), err))
		case isRefusal(err):
			return fmt.Errorf("the cluster refuses this node: %w", err)
		case err.Error() != told:
			told = err.Error()
			n.log.Warn("no member admits this node yet; it goes on asking", "join", n.o.Config.Cluster.Join, "error", err)
		}
		if !pause(n.starting, admitPause) {
			return fmt.Errorf("not admitted to the cluster: %w", errors.Join(context.Cause(n.starting), err))
		}
	}
}

// askToBeAdmitted asks the leader of the meta group, or members who may know it:
// first those that serve, since another node that joins knows no more than this.
func (n *Node) askToBeAdmitted(ctx context.Context) error {
	seeds := []string{""} // the leader is known
	if address, _, ok := n.leaderOf(storage.MetaShard); !ok && address == "" && !n.leadsMeta() {
		seeds = n.seeds()
	}
	err := errors.New("no other node was found; is the address to join the gossip port of a member?")
	for _, seed := range seeds {
		ctx, cancel := context.WithTimeout(ctx, admitTime)
		_, err = n.meta.Admit(ctx, seed, n.admit())
		cancel()
		if err == nil || isRefusal(err) {
			return err
		}
	}
	return err
}

// seeds are where the actors of other nodes are, the ones that serve first.
func (n *Node) seeds() (addresses []string) {
	for id, m := range *n.peers.alive.Load() {
		switch {
		case id == n.self:
		case m.Addresses.GetGrpc() != "":
			addresses = slices.Insert(addresses, 0, m.Addresses.GetActors())
		default:
			addresses = append(addresses, m.Addresses.GetActors())
		}
	}
	return addresses
}

// admit is what this node says of itself.
func (n *Node) admit() *actorv1.Admit {
	fingerprint := n.ring.Fingerprint()
	a := &actorv1.Admit{
		Node: n.self, Store: n.store.NodeID(), Name: n.peers.name, Cluster: n.roster.View().Cluster(),
		Shards: uint32(n.store.Shards()), Seal: fingerprint[:], Version: n.o.Version, Zone: n.o.Config.Cluster.Zone,
	}
	if m, ok := (*n.peers.alive.Load())[n.self]; ok {
		a.Addresses = m.Addresses
	}
	return a
}

// found records a new cluster, of which this node is the only member.
func (n *Node) found(ctx context.Context, term uint64) error {
	if n.roster.View().Cluster() != "" {
		return nil
	}
	propose := func(ms []storage.Mutation, done func(error)) { n.proposeMeta(term, ms, done) }
	return n.roster.Update(ctx, propose, func(v *roster.View) ([]storage.Mutation, error) {
		if v.Cluster() != "" {
			return nil, nil
		}
		return v.Found(roster.NewCluster(), n.admit(), time.Now())
	})
}

// awaitMeta waits until this node has the catalogue.
func (n *Node) awaitMeta() error {
	changed := n.roster.Changed()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for n.roster.View().Cluster() == "" {
		select {
		case <-changed:
		case <-tick.C:
			n.log.Warn("no replica of the meta group has come yet; does rouse cluster status tell why?")
		case <-n.starting.Done():
			return fmt.Errorf("no replica of the meta group came: %w", context.Cause(n.starting))
		}
	}
	return nil
}

// excluded tells whether this node is no member any more, as far as it knows: the
// last that it hears is that it shall have no replica of the meta group.
func (n *Node) excluded() bool {
	v := n.roster.View()
	p, placed := v.Placement(storage.MetaShard)
	return v.Removed(n.self) || placed && !p.Has(n.self)
}

// announce keeps this node's record up to date: addresses and version change
// with a restart. A node that was removed ends: it knows neither new API keys nor
// which were revoked. Who hears no leader of the meta group for a while asks whether
// it is one that was removed: a leader that drops a replica does not wait until that
// has heard why.
func (n *Node) announce(ctx context.Context) {
	if !n.clustered() {
		return
	}
	unheard := 0
	for pause(ctx, announceEvery) {
		if unheard++; n.hearsMeta() {
			unheard = 0
		}
		m, ok := n.roster.View().Member(n.self)
		out := n.excluded() || unheard > 1
		if ok && !out && sameRecord(m, n.admit()) {
			continue
		}
		switch err := n.askToBeAdmitted(ctx); {
		case err == nil || ctx.Err() != nil:
		case out && isRefusal(err):
			n.fail(err)
			return
		case unheard > 2: // it was said
		case unheard == 2:
			n.log.Warn("no leader of the meta group is heard, and nobody tells whether this node is still a member", "error", err)
		default:
			n.log.Warn("the record of this node is not up to date yet", "error", err)
		}
	}
}

// sameRecord tells whether a record says what the node says of itself.
func sameRecord(m *actorv1.Member, a *actorv1.Admit) bool {
	return m.GetName() == a.GetName() && m.GetVersion() == a.GetVersion() && m.GetZone() == a.GetZone() && proto.Equal(m.GetAddresses(), a.GetAddresses())
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
