package backup

import (
	"errors"
	"testing"

	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

func TestRecoverForgetsTheCluster(t *testing.T) {
	s := open(t, 3)
	fill(t, s, 5)
	if _, err := Survey(s); !errors.Is(err, errNoMeta) {
		t.Errorf("without a replica: %v", err)
	}
	b := s.NewBatch()
	for _, group := range []uint16{0, 2} {
		b.SetState(group, storage.AppliedState, []byte{9, 1})
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	l, err := Survey(s)
	if err != nil || l.Cluster != "the old cluster" || len(l.Held) != 2 || len(l.Missing) != 2 || l.Missing[0] != 1 || !l.Held[0].Learner {
		t.Errorf("%+v, %v", l, err)
	}
	for range 2 {
		if err := Recover(s); err != nil {
			t.Fatal(err)
		}
	}
	if id, err := roster.Cluster(s); id != "" || err != nil {
		t.Errorf("it remembers cluster %q, %v", id, err)
	}
	l, err = Survey(s)
	if err != nil || l.Held[0].Learner || l.Held[0].Voters[0] != replica.NodeID(s.NodeID()) || len(l.Held[0].Voters) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	if v, err := s.Get(storage.AppendCatalogueKey(nil, 'a', "app")); err != nil || string(v) != "the app" {
		t.Errorf("the app: %q, %v", v, err)
	}
}
