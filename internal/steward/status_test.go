package steward

import (
	"context"
	"strings"
	"testing"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/placement"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

// grown is three members; groups 0 and 1 on all of them, group 2 is moving to them.
func grown(t *testing.T) *Orders {
	t.Helper()
	o := newOrders(t)
	for _, id := range []uint64{2, 3} {
		if _, err := o.Admit(context.Background(), asks(id)); err != nil {
			t.Fatal(err)
		}
	}
	all := roster.Placement{Voters: []uint64{1, 2, 3}, Leader: 1, Settled: true}
	moving := all
	moving.Settled = false
	if err := o.update(context.Background(), func(*roster.View) ([]storage.Mutation, error) {
		return roster.Place(map[uint16]roster.Placement{0: all, 1: all, 2: moving})
	}); err != nil {
		t.Fatal(err)
	}
	return o
}

func own(node uint64, led map[uint16]placement.Status) *Own {
	return &Own{
		Node: node, Version: "v1", Seal: []byte("seal-fingerprint"), DiskFree: 5, Groups: []uint16{0, 1, 2},
		Led: func(g uint16) (placement.Status, bool) { s, ok := led[g]; return s, ok },
		Why: func(uint16) string { return "it waits" },
	}
}

func even(voters ...uint64) placement.Status {
	s := placement.Status{Term: 4, Commit: 50_000, Conf: placement.Configuration{Voters: voters}, Progress: map[uint64]placement.Progress{}}
	for _, id := range voters {
		s.Progress[id] = placement.Progress{Match: 50_000}
	}
	return s
}

func known(o *Orders) *Known {
	v := o.Roster.View()
	moving := even(1)
	moving.Conf.Learners = []uint64{2}
	moving.Progress[2] = placement.Progress{Match: 10, Snapshot: true}
	return &Known{
		View: v, Self: 1, SkipSettled: true,
		Seen: map[uint64]Seen{1: {Alive: true, Last: now}, 2: {Alive: true, Last: now}, 3: {Alive: true, Last: now}},
		Reports: map[uint64]*rousev1.NodeReport{
			1: Report(own(1, map[uint16]placement.Status{0: even(1, 2, 3), 2: moving}), v),
			2: Report(own(2, map[uint16]placement.Status{1: even(1, 2, 3)}), v),
			3: Report(own(3, nil), v),
		},
	}
}

func TestStatusOfAHealthyCluster(t *testing.T) {
	r := Status(known(grown(t)))
	if len(r.GetWarnings()) != 0 || r.GetTotals().GetGroups() != 3 || r.GetTotals().GetMoving() != 1 || r.GetTotals().GetAlive() != 3 || r.GetClusterId() != "c1" {
		t.Errorf("%v", r)
	}
	if len(r.GetGroups()) != 1 {
		t.Fatalf("settled groups are shown: %v", r.GetGroups())
	}
	m := r.GetGroups()[0].GetMove()
	// A voter is done, a learner is being made (half), one is not there.
	if m.GetPercent() != 50 || m.GetStep() != "it waits" || len(m.GetVoterIds()) != 3 || !r.GetGroups()[0].GetReplicas()[1].GetSnapshot() {
		t.Errorf("%v", r.GetGroups()[0])
	}
	n := r.GetNodes()[0]
	if n.GetName() != "node-1" || n.GetReport().GetLeads() != 2 || n.GetReport().GetVoters() != 3 || len(n.GetReport().GetGroups()) != 0 || n.GetReport().GetSealFingerprint() != "7365616c" {
		t.Errorf("%v", n)
	}
}

func TestStates(t *testing.T) {
	for want, c := range map[rousev1.NodeState]struct {
		m *actorv1.Member
		s Seen
	}{
		rousev1.NodeState_NODE_STATE_ALIVE:    {&actorv1.Member{}, Seen{Alive: true}},
		rousev1.NodeState_NODE_STATE_DRAINING: {&actorv1.Member{Draining: true}, Seen{Alive: true}},
		rousev1.NodeState_NODE_STATE_SUSPECT:  {&actorv1.Member{Draining: true}, Seen{Alive: true, Suspect: true}},
		rousev1.NodeState_NODE_STATE_DEAD:     {&actorv1.Member{Draining: true}, Seen{}},
		rousev1.NodeState_NODE_STATE_LEAVING:  {&actorv1.Member{Draining: true, Leaving: true}, Seen{}},
	} {
		if got := stateOf(c.m, c.s); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Each trouble has its warning, which says what to do; the worst comes first.
func TestWarnings(t *testing.T) {
	k := known(grown(t))
	k.Seen[2] = Seen{}
	delete(k.Reports, 2)
	k.Reports[3].DiskLow, k.Reports[3].Version, k.Reports[3].SealFingerprint, k.Reports[3].GossipFingerprint = true, "v2", "ff", "aa"
	k.Reports[3].Losses, k.Reports[3].Lacking = 5, 2
	k.Seen[3] = Seen{Alive: true, Deaf: true}
	k.Strangers = []Stranger{{Node: 9, Name: "eve"}}
	r := Status(k)
	var text strings.Builder
	for _, w := range r.GetWarnings() {
		text.WriteString(w.GetMessage() + "\n")
		if len(w.GetMessage()) > 512 || w.GetKind() == 0 {
			t.Errorf("%v", w)
		}
	}
	want := `groups 1: no answering node leads them, their users wait; start the nodes that hold them, or look why they do not answer
groups 0: a voter is dead or far behind, another lost node may stop them; bring the node back, or wait until it is replaced
node node-2 is dead; start it, or if it is gone for good: rouse cluster remove node-2
node node-3: 5 of its replicas lacked what they had acknowledged, 2 are not made anew yet; its disk does not keep what was synced, or its directory is an older copy: unless you put it back yourself, replace the disk
node node-3: its disk is nearly full; nodes with room lead in its place, and where there are none calls that need room are refused; free space on it
node node-3 hears no leader of group 0, so others lead in its place; look into the network between it and the node that leads group 0
node eve is reachable and no member; its log says why it was not admitted
the newest sealing keys differ (7365616c: node-1, ff: node-3); give all nodes the same file of sealing keys and restart them
the gossip keys in use differ (none: node-1, aa: node-3); finish their rotation
the versions differ (v1: node-1, v2: node-3); finish the upgrade
`
	if text.String() != want {
		t.Error(text.String())
	}
	if r.GetTotals().GetLeaderless() != 1 || r.GetTotals().GetUnderReplicated() != 2 || r.GetNodes()[0].GetState() != rousev1.NodeState_NODE_STATE_UNADMITTED {
		t.Errorf("%v", r.GetTotals())
	}
}

func TestTwoNodesWarn(t *testing.T) {
	o := newOrders(t)
	if _, err := o.Admit(context.Background(), asks(2)); err != nil {
		t.Fatal(err)
	}
	k := &Known{View: o.Roster.View(), Self: 1, Seen: map[uint64]Seen{1: {Alive: true}, 2: {Alive: true}}, Reports: map[uint64]*rousev1.NodeReport{
		1: Report(own(1, map[uint16]placement.Status{0: even(1), 1: even(1), 2: even(1)}), o.Roster.View()), 2: Report(own(2, nil), o.Roster.View()),
	}}
	r := Status(k)
	if len(r.GetWarnings()) != 1 || r.GetWarnings()[0].GetKind() != rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_NO_FAULT_TOLERATED {
		t.Errorf("%v", r.GetWarnings())
	}
	if len(r.GetGroups()) != 3 || r.GetNodes()[1].GetReport().GetLearners() != 3 {
		t.Errorf("%v", r)
	}
}
