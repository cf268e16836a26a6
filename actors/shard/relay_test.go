package shard

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// part cuts two nodes from each other; they notice, as their connections end.
func (w *world) part(a, b int) {
	w.net.Partition([]string{fmt.Sprint("n", a)}, []string{fmt.Sprint("n", b)})
	for _, pair := range [][2]int{{a, b}, {b, a}} {
		n, other := w.nodes[pair[0]], w.nodes[pair[1]].host.Addr(9000)
		n.mu.Lock()
		n.cut = other
		n.mu.Unlock()
		n.router.PeerDown(other)
	}
}

// Two nodes cannot reach each other, the third reaches both: all users are served
// at all nodes, and tokens find their owners.
func TestBridge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.part(0, 2)
		for u := range 12 {
			who := fmt.Sprint("u", u)
			start := time.Now()
			w.mustAt(u%3, who, bindRequest(who, fmt.Sprintf("%04x", u)))
			for i := range 3 {
				w.mustAt(i, who, event(fmt.Sprint("m", i)))
			}
			if d := time.Since(start); d > 100*time.Millisecond {
				t.Errorf("%s: four commands took %v", who, d)
			}
		}
		<-time.After(10 * time.Second) // claims of tokens are made good
		for k := uint16(1); k <= w.shards(); k++ {
			_ = w.nodes[1].store.Scan(storage.IntentRange(k), func(key, _ []byte) bool { t.Errorf("an intent is left: %x", key); return true })
		}
		if n := len(w.pushes()); n != 36 {
			t.Errorf("%d pushes, want 36", n)
		}
		w.net.Heal()
		w.stop()
	})
}

// Nobody reaches the leader: the deadline holds, and nothing goes in a circle.
func TestBridgeToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		k := w.nodes[0].store.ShardOf("app", "ann")
		w.move(k, 2)
		w.part(0, 2)
		w.part(1, 2)
		start := time.Now()
		r := w.askAt(0, "ann", event("m1"))
		if d := time.Since(start); r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE || d != 5*time.Second {
			t.Errorf("%+v after %v", r, d)
		}
		// Another one leads: what waits is served, wherever it came in.
		done := make(chan actors.Reply, 1)
		w.nodes[0].router.Route(&actors.Envelope{App: "app", User: "ann", Command: event("m2"), Done: func(r actors.Reply) { done <- r }})
		<-time.After(50 * time.Millisecond)
		was := w.elect(k, 1)
		w.nodes[2].set.Lose(k, was.term)
		w.learnAll(k)
		start = time.Now()
		if r := <-done; r.Err != nil || time.Since(start) > 2*time.Second {
			t.Errorf("%+v after %v", r, time.Since(start))
		}
		w.net.Heal()
		w.stop()
	})
}
