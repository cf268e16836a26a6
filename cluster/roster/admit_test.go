package roster

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/storage"
)

func TestAdmitRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*actorv1.Admit)
		want   error
		says   string
	}{
		"no store":        {func(a *actorv1.Admit) { a.Store = "" }, ErrInvalid, "32 hex digits"},
		"no hex":          {func(a *actorv1.Admit) { a.Store = strings.Repeat("x", 32) }, ErrInvalid, "no id of a store"},
		"id of none":      {func(a *actorv1.Admit) { a.Node, a.Store = 0, strings.Repeat("0", 32) }, ErrInvalid, "no id of a store"},
		"other id":        {func(a *actorv1.Admit) { a.Node = 3 }, ErrInvalid, "not that of its store"},
		"no name":         {func(a *actorv1.Admit) { a.Name = "" }, ErrInvalid, "cluster.name"},
		"long name":       {func(a *actorv1.Admit) { a.Name = strings.Repeat("n", 129) }, ErrInvalid, "longer than 128"},
		"control":         {func(a *actorv1.Admit) { a.Zone = "a\nb" }, ErrInvalid, "zone"},
		"no peers":        {func(a *actorv1.Admit) { a.Addresses.Peers = "" }, ErrInvalid, "port peers"},
		"no addresses":    {func(a *actorv1.Admit) { a.Addresses = nil }, ErrInvalid, "port"},
		"long address":    {func(a *actorv1.Admit) { a.Addresses.Grpc = strings.Repeat("h", 261) }, ErrInvalid, "address"},
		"other cluster":   {func(a *actorv1.Admit) { a.Cluster = "ff" }, ErrOtherCluster, "empty data directory"},
		"other shards":    {func(a *actorv1.Admit) { a.Shards = 64 }, ErrOtherShards, "data.shards to 2"},
		"other seal":      {func(a *actorv1.Admit) { a.Seal = []byte("other") }, ErrOtherSeal, "sealing keys"},
		"no seal":         {func(a *actorv1.Admit) { a.Seal = nil }, ErrOtherSeal, "sealing keys"},
		"another's store": {func(a *actorv1.Admit) { a.Node, a.Store = 1, "0000000000000001ffffffffffffffff" }, ErrOtherStore, "empty data directory"},
		"name in use":     {func(a *actorv1.Admit) { a.Name = "node-1" }, ErrNameTaken, "cluster.name"},
	} {
		t.Run(name, func(t *testing.T) {
			w := founded(t)
			a := asks(2)
			c.change(a)
			err := w.admit(a)
			wants(t, err, c.want)
			if err == nil || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 512 {
				t.Errorf("%v does not say %q", err, c.says)
			}
			if len(w.View().Members()) != 1 {
				t.Error("it is a member")
			}
		})
	}
}

func TestAdmitAndRestart(t *testing.T) {
	w := founded(t)
	a := asks(2)
	if err := w.admit(a); err != nil {
		t.Fatal(err)
	}
	w.do(func(v *View) ([]storage.Mutation, error) { return v.Drain(2) })
	a.Seal = []byte("newer") // while sealing keys rotate
	a.Cluster, a.Version, a.Zone, a.Addresses = clusterID, "v2", "z", &actorv1.NodeAddresses{Peers: "i:1", Actors: "i:2", Gossip: "i:3", Http: "i:4"}
	if err := w.admit(a); err != nil {
		t.Fatal(err)
	}
	m, _ := w.View().Member(2)
	if m.GetVersion() != "v2" || m.GetZone() != "z" || m.GetAddresses().GetHttp() != "i:4" || !m.GetDraining() || m.GetAdmittedAtMs() != now.UnixMilli() {
		t.Errorf("after a restart: %v", m)
	}
	before := w.View()
	if err := w.admit(proto.CloneOf(a)); err != nil || w.View() != before {
		t.Errorf("a restart without changes wrote: %v", err)
	}
}

// A node whose disk was lost comes back as another one under its name.
func TestLostDisk(t *testing.T) {
	w := founded(t)
	if err := w.admit(asks(2)); err != nil {
		t.Fatal(err)
	}
	again := asks(3)
	again.Name = "node-2"
	wants(t, w.admit(again), ErrNameTaken)
	w.dead[2] = true
	if err := w.admit(again); err != nil {
		t.Fatal(err)
	}
	old, _ := w.View().Member(2)
	if !old.GetLeaving() || len(w.View().Members()) != 3 {
		t.Errorf("the one that was lost: %v", old)
	}
	w.dead[2] = false // it was not lost after all; it goes on leaving
	if err := w.admit(asks(2)); err == nil {
		t.Error("the name has two nodes")
	}
}

func TestAdmitWhenFull(t *testing.T) {
	v := draft{View: View{cluster: clusterID}}
	for n := range uint64(MaxMembers) {
		v.setMember(&actorv1.Member{Node: n + 1, Store: asks(n + 1).GetStore()})
	}
	v.sort()
	terms := Terms{Shards: 2, Dead: func(uint64) bool { return false }}
	_, err := v.Admit(asks(MaxMembers+1), terms, now)
	wants(t, err, ErrFull)
	if _, err := v.Admit(asks(7), terms, now); err != nil {
		t.Error(err)
	}
}
