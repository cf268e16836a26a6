package replica

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// atOdds reports whether a leader has another history of the group than this replica,
// which is one that this node has led alone, from a copy of that time, or one that the
// others have lost. Which one is right only the operator knows, so what is here stays
// as it is, and Raft, which would answer for ever, does not hear of the other. Two
// leaders of one term would both be believed: the node ends.
func (l *loop) atOdds(g *group, m *pb.Message) bool {
	kind := m.GetType()
	if kind != pb.MsgApp && kind != pb.MsgHeartbeat || m.GetTerm() < g.hard.term {
		return false
	}
	if g.state == raft.StateLeader && m.GetTerm() == g.hard.term && isSole(g.conf, l.e.o.ID) {
		l.e.fail(fmt.Errorf("node %s leads group %d in the same term as this node, which is its only voter by its own directory: "+
			"that is a copy from before there were others; start this node with an empty one, and let it join", hexID(m.GetFrom()), g.id))
		return true
	}
	if kind != pb.MsgApp || m.GetIndex() != g.hard.commit || g.writing > 0 {
		return false // while the writer has entries, the log in memory is from before
	}
	term, err := g.log.Term(m.GetIndex())
	if err != nil || term == m.GetLogTerm() {
		return false
	}
	if !g.told {
		l.e.tell(g)
		l.e.log.Error("replica: what is committed here is not what the leader has at that place: this directory was led by this node alone at another time, or most other nodes have lost what they had acknowledged; "+
			"the replica is left as it is and gets nothing more; if the others are right, start this node with an empty directory",
			"group", g.id, "committed", g.hard.commit, "term", term, "leader", hexID(m.GetFrom()), "leader_term", m.GetLogTerm())
	}
	return true
}
