package backup

import (
	"errors"
	"fmt"

	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

// Losses is what a node that goes on alone has, and has not.
type Losses struct {
	Cluster string
	Held    []replica.Survivor
	// Missing are the groups of which the node has nothing.
	Missing []uint16
}

// errNoMeta refuses a node that cannot go on: the catalogue has apps, keys and
// credentials.
var errNoMeta = errors.New("backup: this node has no replica of the meta group, and so no apps, keys and credentials; recover another node, or restore a backup")

// Survey tells what recovering a store would keep and lose.
func Survey(s *storage.Store) (l Losses, err error) {
	if l.Cluster, err = roster.Cluster(s); err != nil {
		return l, err
	}
	if l.Held, err = replica.Survivors(s, replica.NodeID(s.NodeID())); err != nil {
		return l, err
	}
	held := map[uint16]bool{}
	for _, g := range l.Held {
		held[g.Group] = true
	}
	for group := range s.Shards() + 1 {
		if !held[group] {
			l.Missing = append(l.Missing, group)
		}
	}
	if !held[storage.MetaShard] {
		return l, errNoMeta
	}
	return l, nil
}

// Recover makes the node the only voter of each group that it holds, and
// forgets the cluster, so that it founds another one when it starts. It may be
// repeated after a crash.
func Recover(s *storage.Store) error {
	l, err := Survey(s)
	if err != nil {
		return err
	}
	self := replica.NodeID(s.NodeID())
	for _, g := range l.Held {
		if err := replica.Survive(s, g.Group, self); err != nil {
			return fmt.Errorf("backup: recover group %d: %w", g.Group, err)
		}
	}
	batch := s.NewBatch()
	if err := batch.Apply(storage.MetaShard, storage.AppendEntry(nil, roster.Forget())); err != nil {
		return err
	}
	return batch.Commit(true)
}
