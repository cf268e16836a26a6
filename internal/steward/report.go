// Package steward is what an operator sees of a cluster, and orders.
//
// Each node makes a report of itself; whoever is asked puts the reports of all
// and the members together, with warnings in words. Orders are executed where
// the meta group is led.
package steward

import (
	"encoding/hex"
	"slices"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/placement"
	"github.com/rouse-im/rouse/cluster/roster"
)

const fingerprintBytes = 4

// Own is what a node knows of itself.
type Own struct {
	Node    uint64
	Version string
	// DiskFree is in bytes; DiskLow tells that it is below the watermark.
	DiskFree uint64
	DiskLow  bool
	// Losses and Lacking are those of its replicas.
	Losses, Lacking int
	// Seal and Gossip are fingerprints of its newest keys, empty = it has none.
	// They are no secrets.
	Seal, Gossip []byte
	// Groups are those of which it has a replica.
	Groups []uint16
	// Led answers how a group is that the node leads; false = it does not.
	Led func(group uint16) (placement.Status, bool)
	// Why tells what a group is waiting for, as placement.Conductor does.
	Why func(group uint16) string
}

// Report is what a node says of itself.
func Report(o *Own, v *roster.View) *rousev1.NodeReport {
	r := &rousev1.NodeReport{
		Version: o.Version, DiskFreeBytes: o.DiskFree, DiskLow: o.DiskLow, Losses: uint32(o.Losses), Lacking: uint32(o.Lacking),
		SealFingerprint: fingerprint(o.Seal), GossipFingerprint: fingerprint(o.Gossip),
	}
	for _, group := range o.Groups {
		record, _ := v.Placement(group)
		switch {
		case slices.Contains(record.Voters, o.Node):
			r.Voters++
		default:
			r.Learners++
		}
		status, leads := o.Led(group)
		if !leads {
			continue
		}
		r.Leads++
		r.Groups = append(r.Groups, groupOf(group, o.Node, &status, record, o.Why(group)))
	}
	return r
}

func fingerprint(b []byte) string { return hex.EncodeToString(b[:min(len(b), fingerprintBytes)]) }

// groupOf is a group as its leader shows it.
func groupOf(group uint16, leader uint64, s *placement.Status, record roster.Placement, why string) *rousev1.ClusterGroup {
	g := &rousev1.ClusterGroup{
		Group: uint32(group), Term: s.Term, LeaderId: roster.NodeID(leader), Commit: s.Commit, SizeBytes: s.Bytes,
		VoterIds: nodeIDs(s.Conf.Voters), LearnerIds: nodeIDs(s.Conf.Learners), OutgoingIds: nodeIDs(s.Conf.Outgoing),
	}
	all := slices.Concat(s.Conf.Voters, s.Conf.Learners)
	slices.Sort(all)
	for _, id := range all {
		p := s.Progress[id]
		g.Replicas = append(g.Replicas, &rousev1.ReplicaLag{NodeId: roster.NodeID(id), Entries: s.Commit - min(s.Commit, p.Match), Snapshot: p.Snapshot})
	}
	if len(record.Voters) > 0 && !sameReplicas(s.Conf, record) {
		g.Move = &rousev1.GroupMove{VoterIds: nodeIDs(record.Voters), LearnerIds: nodeIDs(record.Learners), Step: why, Percent: percent(s, record)}
	}
	return g
}

func sameReplicas(c placement.Configuration, p roster.Placement) bool {
	return len(c.Outgoing) == 0 && slices.Equal(c.Voters, p.Voters) && slices.Equal(c.Learners, p.Learners)
}

// percent counts the replicas that a move makes, gives a vote and drops: a
// replica that is being made is half of it.
func percent(s *placement.Status, want roster.Placement) uint32 {
	total, done := 0, 0
	behind := s.Behind()
	for _, id := range slices.Concat(want.Voters, want.Learners) {
		total += 2
		member := slices.Contains(s.Conf.Voters, id) || slices.Contains(s.Conf.Learners, id)
		voter := slices.Contains(s.Conf.Voters, id)
		switch {
		case member && voter == slices.Contains(want.Voters, id) && !slices.Contains(behind, id):
			done += 2
		case member:
			done++
		}
	}
	for _, id := range slices.Concat(s.Conf.Voters, s.Conf.Learners) {
		if !want.Has(id) {
			total += 2
		}
	}
	return uint32(100 * done / max(total, 1))
}

func nodeIDs(nodes []uint64) []string {
	all := make([]string, 0, len(nodes))
	for _, id := range nodes {
		all = append(all, roster.NodeID(id))
	}
	return all
}
