package steward

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/roster"
)

// farBehind is how many entries a voter may lack until its vote is no help.
const farBehind = 10_000

// Seen is what gossip knows of a node.
type Seen struct {
	Alive, Suspect bool
	// Deaf: it tells that it hears no leader of the meta group.
	Deaf bool
	// Last is when it was last seen alive; zero = never.
	Last time.Time
}

// Stranger is a living node that is no member.
type Stranger struct {
	Node      uint64
	Name      string
	Addresses *actorv1.NodeAddresses
}

// Known is all that the answering node has found out.
type Known struct {
	View *roster.View
	// Self is the node that answers.
	Self      uint64
	Seen      map[uint64]Seen
	Strangers []Stranger
	// Reports of the nodes that answered.
	Reports map[uint64]*rousev1.NodeReport
	// SkipSettled leaves out groups that are led, complete and not moving.
	SkipSettled bool
}

// Status puts together what is known.
func Status(k *Known) *rousev1.GetClusterStatusResponse {
	r := &rousev1.GetClusterStatusResponse{ClusterId: k.View.Cluster(), AnsweredBy: roster.NodeID(k.Self), Totals: &rousev1.ClusterTotals{}}
	for _, m := range k.View.Members() {
		seen := k.Seen[m.GetNode()]
		r.Totals.Nodes++
		if seen.Alive {
			r.Totals.Alive++
		}
		n := &rousev1.ClusterNode{
			NodeId: roster.NodeID(m.GetNode()), Name: m.GetName(), State: stateOf(m, seen), Zone: m.GetZone(),
			Endpoints: endpoints(m.GetAddresses()), AdmittedAt: timestamppb.New(time.UnixMilli(m.GetAdmittedAtMs())), Report: withoutGroups(k.Reports[m.GetNode()]),
		}
		if !seen.Last.IsZero() {
			n.LastSeen = timestamppb.New(seen.Last)
		}
		r.Nodes = append(r.Nodes, n)
	}
	for _, s := range k.Strangers {
		r.Nodes = append(r.Nodes, &rousev1.ClusterNode{
			NodeId: roster.NodeID(s.Node), Name: s.Name, State: rousev1.NodeState_NODE_STATE_UNADMITTED, Endpoints: endpoints(s.Addresses),
		})
	}
	slices.SortStableFunc(r.Nodes, func(a, b *rousev1.ClusterNode) int {
		return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.GetNodeId(), b.GetNodeId()))
	})
	all := k.groups()
	for _, g := range all {
		thin := k.underReplicated(g)
		r.Totals.Groups++
		r.Totals.Leaderless += one(g.GetLeaderId() == "")
		r.Totals.UnderReplicated += one(thin)
		r.Totals.Moving += one(g.GetMove() != nil)
		if !k.SkipSettled || g.GetLeaderId() == "" || thin || g.GetMove() != nil {
			r.Groups = append(r.Groups, g)
		}
	}
	r.Warnings = k.warnings(all)
	return r
}

func one(is bool) uint32 {
	if is {
		return 1
	}
	return 0
}

func stateOf(m *actorv1.Member, s Seen) rousev1.NodeState {
	switch {
	case m.GetLeaving():
		return rousev1.NodeState_NODE_STATE_LEAVING
	case s.Suspect:
		return rousev1.NodeState_NODE_STATE_SUSPECT
	case !s.Alive:
		return rousev1.NodeState_NODE_STATE_DEAD
	case m.GetDraining():
		return rousev1.NodeState_NODE_STATE_DRAINING
	}
	return rousev1.NodeState_NODE_STATE_ALIVE
}

func endpoints(a *actorv1.NodeAddresses) *rousev1.NodeEndpoints {
	return &rousev1.NodeEndpoints{Peers: a.GetPeers(), Actors: a.GetActors(), Gossip: a.GetGossip(), Grpc: a.GetGrpc(), Http: a.GetHttp()}
}

// withoutGroups is a report as it is shown with its node: its groups are with
// those of all.
func withoutGroups(r *rousev1.NodeReport) *rousev1.NodeReport {
	if r == nil {
		return nil
	}
	r = proto.CloneOf(r)
	r.Groups = nil
	return r
}

// groups are all groups by number: as the leader of the highest term tells, or,
// of those that no node says to lead, as they shall be.
func (k *Known) groups() []*rousev1.ClusterGroup {
	told := make(map[uint32]*rousev1.ClusterGroup)
	for _, id := range slices.Sorted(maps.Keys(k.Reports)) {
		for _, g := range k.Reports[id].GetGroups() {
			if was := told[g.GetGroup()]; was == nil || was.GetTerm() < g.GetTerm() {
				told[g.GetGroup()] = g
			}
		}
	}
	for group, p := range k.View.Placements() {
		if told[uint32(group)] == nil {
			told[uint32(group)] = &rousev1.ClusterGroup{Group: uint32(group), VoterIds: nodeIDs(p.Voters), LearnerIds: nodeIDs(p.Learners)}
		}
	}
	return slices.SortedFunc(maps.Values(told), func(a, b *rousev1.ClusterGroup) int { return cmp.Compare(a.GetGroup(), b.GetGroup()) })
}

// underReplicated tells whether a voter of a group is no help.
func (k *Known) underReplicated(g *rousev1.ClusterGroup) bool {
	behind := make(map[string]bool)
	for _, r := range g.GetReplicas() {
		behind[r.GetNodeId()] = r.GetEntries() > farBehind || r.GetSnapshot()
	}
	return slices.ContainsFunc(g.GetVoterIds(), func(id string) bool { return behind[id] || !k.alive(id) })
}

func (k *Known) alive(id string) bool {
	for node, s := range k.Seen {
		if roster.NodeID(node) == id {
			return s.Alive
		}
	}
	return false
}
