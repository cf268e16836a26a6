package roster

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/storage"
)

// ErrFounded answers a second founding.
var ErrFounded = errors.New("the cluster is founded already")

// NewCluster is a new cluster's id: 32 random hex digits.
func NewCluster() string {
	var id [16]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// Found begins a cluster of one: the node is the only member, and holds the
// only replica of the meta group and of shards 1..a.Shards.
func (v *View) Found(cluster string, a *actorv1.Admit, now time.Time) ([]storage.Mutation, error) {
	if v.cluster != "" {
		return nil, fmt.Errorf("%w: %s", ErrFounded, v.cluster)
	}
	node, err := NodeOf(a.GetStore())
	if err != nil || node != a.GetNode() {
		return nil, errors.Join(fmt.Errorf("%w: node %s is not that of its store", ErrInvalid, NodeID(a.GetNode())), err)
	}
	self, err := setMember(&actorv1.Member{
		Node: node, Store: a.GetStore(), Name: a.GetName(), Version: a.GetVersion(), Zone: a.GetZone(),
		Addresses: proto.CloneOf(a.GetAddresses()), AdmittedAtMs: now.UnixMilli(),
	})
	if err != nil {
		return nil, err
	}
	placements := make(map[uint16]Placement, a.GetShards()+1)
	for group := range a.GetShards() + 1 {
		placements[uint16(group)] = Placement{Voters: []uint64{node}, Leader: node, Settled: true}
	}
	ms, err := Place(placements)
	if err != nil {
		return nil, err
	}
	id := storage.Mutation{Op: storage.Set, Key: clusterKey(), Value: []byte(cluster)}
	return append([]storage.Mutation{id, self}, ms...), nil
}
