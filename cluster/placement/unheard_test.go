package placement

import (
	"testing"

	"github.com/rouse-im/rouse/cluster/roster"
)

// A node that dies is alive for gossip a moment longer than its leaderships are:
// who takes these over must not give them back.
func TestNobodyUnheardGetsLeadership(t *testing.T) {
	alive := func(uint64) bool { return true }
	want := roster.Placement{Leader: 3, Voters: []uint64{1, 2, 3}}
	s := &Status{Term: 2, Commit: 5, Conf: Configuration{Voters: want.Voters}, Progress: map[uint64]Progress{1: {Match: 5}, 2: {Match: 5}, 3: {}}}
	if to := Give(1, s, want, alive); to != 0 {
		t.Errorf("leadership goes to node %d, which did not answer in this term", to)
	}
	if to := Successor(1, 7, s, want, alive); to != 2 {
		t.Errorf("leadership goes to node %d when 1 goes away, want 2", to)
	}
	s.Progress[3] = Progress{Match: 4}
	if to := Give(1, s, want, alive); to != 3 {
		t.Errorf("leadership goes to node %d, want 3", to)
	}
}
