package app

import (
	"context"
	"crypto/rand"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster"
	"github.com/rouse-im/rouse/cluster/placement"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/internal/steward"
)

// reportTime bounds the answers of all nodes about themselves.
const reportTime = 2 * time.Second

// newOrders makes what carries out what operators order about the cluster, where the meta group
// is led.
func (n *Node) newOrders() *steward.Orders {
	return &steward.Orders{
		Roster: n.roster, Preview: n.planner.Preview, Logger: n.log,
		Leads:   n.metaTerm,
		Propose: n.proposeMeta,
		Led:     func(ctx context.Context) map[uint16]uint64 { return steward.Led(n.askReports(ctx)) },
		Terms: func(now time.Time) roster.Terms {
			seal := n.ring.Fingerprint()
			return roster.Terms{
				Shards: uint32(n.store.Shards()), Seal: seal[:],
				Dead: func(node uint64) bool { return n.planner.DeadFor(node, now) > deadFor },
			}
		},
	}
}

// deadFor is how long a node is dead that does not only restart.
const deadFor = time.Minute

// clusterStatus asks all nodes how they are.
func (n *Node) clusterStatus(ctx context.Context, r *rousev1.GetClusterStatusRequest) (*rousev1.GetClusterStatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	k := &steward.Known{
		View: n.roster.View(), Self: n.self, Seen: make(map[uint64]steward.Seen), Reports: n.askReports(ctx), SkipSettled: r.GetSkipSettled(),
	}
	for _, m := range k.View.Members() {
		k.Seen[m.GetNode()] = steward.Seen{Alive: n.isAlive(m.GetNode()), Deaf: n.deaf(m.GetNode()), Last: n.planner.LastSeen(m.GetNode())}
	}
	for id, m := range *n.peers.alive.Load() {
		if _, ok := k.View.Member(id); !ok {
			k.Strangers = append(k.Strangers, steward.Stranger{Node: id, Name: m.Name, Addresses: m.Addresses})
		}
	}
	return steward.Status(k), nil
}

// planRebalance tells what would move.
func (n *Node) planRebalance(ctx context.Context, _ *rousev1.PlanRebalanceRequest) (*rousev1.PlanRebalanceResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	return &rousev1.PlanRebalanceResponse{Moves: n.orders.Moves(ctx, time.Now())}, nil
}

// rotateKey puts a new key in the place of all keys of gossip.
func (n *Node) rotateKey(ctx context.Context) (string, error) {
	if n.peers.gossip == nil {
		return "", refused("this node is alone: there is no gossip whose key could change")
	}
	key := make([]byte, gossipKeyBytes)
	rand.Read(key)
	if err := n.peers.gossip.RotateKey(ctx, key); err != nil {
		return "", refused(err.Error())
	}
	return cluster.PrintOf(key).String(), nil
}

const gossipKeyBytes = 32 // AES-256

func refused(text string) error {
	return &actors.Refusal{Detail: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, Temporary: true, Message: text}}
}

// report is what this node says of itself when it is asked.
func (n *Node) report(context.Context) ([]byte, error) { return proto.Marshal(n.reportHere()) }

func (n *Node) reportHere() *rousev1.NodeReport {
	seal, now := n.ring.Fingerprint(), time.Now()
	losses, lacking := n.engine.Losses()
	own := &steward.Own{
		Node: n.self, Version: n.o.Version, DiskFree: n.store.DiskFree(now), DiskLow: n.store.Writable(now) != nil,
		Losses: losses, Lacking: lacking, Seal: seal[:], Groups: n.engine.Groups(), Why: n.conductor.Load().Why,
		Led: func(group uint16) (placement.Status, bool) {
			if _, leads := n.engine.Leads(group); !leads {
				return placement.Status{}, false
			}
			of, err := n.engine.Status(group)
			s := placement.StatusOf(of)
			if size, err := n.store.GroupBytes(group, now); err == nil { // without one it is shown as not known
				s.Bytes = size
			}
			return s, err == nil
		},
	}
	return steward.Report(own, n.roster.View())
}
