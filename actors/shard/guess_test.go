package shard

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// A node without a replica of a token's shard guesses who leads it. Claims that go
// to somebody else come to the leader all the same, and so does what he answers.
func TestClaimsOfWhoGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		k := w.nodes[0].store.ShardOf("app", "ann")
		bob := "bob"
		for i := 0; w.nodes[0].store.ShardOf("app", bob) != k; i++ {
			bob = fmt.Sprint("bob", i)
		}
		shardOf := func(token string) uint16 {
			return w.nodes[0].store.ShardOfToken(storage.Sum(user.SumOf(testRing(), "app", "apns", token)))
		}
		token := "aa00"
		for i := 0; shardOf(token) == k; i++ {
			token = fmt.Sprintf("aa%02x", i)
		}
		far := shardOf(token)
		w.move(k, 0)
		w.move(far, 2)
		guess := func(of int, shard uint16) {
			n := w.nodes[of]
			n.mu.Lock()
			defer n.mu.Unlock()
			n.table[shard] = leadership{node: 1}
		}
		guess(0, far)
		guess(2, k)
		w.mustAt(0, bob, bindRequest(bob, token))
		<-time.After(time.Second) // of two in the same moment the name decides
		w.mustAt(0, "ann", bindRequest("ann", token))
		<-time.After(10 * time.Second)
		if d := w.mustAt(0, bob, &rousev1.ListDevicesRequest{UserId: bob}).Response.(*rousev1.ListDevicesResponse).GetDevices(); len(d) != 1 || len(d[0].GetBindings()) != 0 {
			t.Errorf("the former owner keeps the token: %v", d)
		}
		for _, x := range w.nodes {
			for s := uint16(1); s <= w.shards(); s++ {
				_ = x.store.Scan(storage.IntentRange(s), func(k, _ []byte) bool { t.Errorf("an intent is left: %x", k); return true })
			}
		}
		w.stop()
	})
}
