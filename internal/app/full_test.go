//go:build !race

package app

// See cluster_test.go.

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/storage"
)

// A node that starts without room takes calls and leads nothing, though it founded
// the cluster: it refuses only what nobody with room can take.
func TestNodeWithoutRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := startMember(t, dir, "one", "")
	gossip := gossipOf(t, one)
	two, three := startMember(t, dir, "two", gossip), startMember(t, dir, "three", gossip)
	operator, err := os.ReadFile(filepath.Join(dir, "one", OperatorKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(operator))
	leads := func(n *Node) (led int) {
		for group := range n.store.Shards() + 1 {
			if _, ok := n.engine.Leads(group); ok {
				led++
			}
		}
		return led
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	until := func(what string, is func() bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !is(); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("not in time: %s; led: %d, %d, %d", what, leads(one), leads(two), leads(three))
			}
		}
	}
	until("three voters", func() bool {
		for group := range one.store.Shards() + 1 {
			if p, _ := one.roster.View().Placement(group); len(p.Voters) != 3 || !p.Settled {
				return false
			}
		}
		return true
	})
	stop(t, one)
	c := memberConfig(dir, "one", gossipOf(t, two))
	c.Data.MinFreeDisk = 1 << 50 // more than there is
	if one, err = startWithin(t, 30*time.Second, c); err != nil {
		t.Fatal(err)
	}
	until("all know whose disk is low", func() bool {
		return one.diskLow(one.self) && two.diskLow(one.self) && three.diskLow(one.self) && !two.diskLow(three.self) && !one.diskLow(two.self)
	})
	until("it leads nothing", func() bool { return leads(one) == 0 && leads(two)+leads(three) == int(two.store.Shards())+1 })
	status, got := post(t, one, key, "AdminService/CreateApp", `{"appId":"chat"}`)
	if status != http.StatusOK {
		t.Errorf("%d %v", status, got)
	}
	stop(t, two)
	until("it leads nothing while another has room", func() bool { return leads(one) == 0 && leads(three) == int(three.store.Shards())+1 })
	if _, leader := three.engine.Leads(storage.MetaShard); !leader {
		t.Error("who leads the meta group?")
	}
	stop(t, three)
	stop(t, one)
}
