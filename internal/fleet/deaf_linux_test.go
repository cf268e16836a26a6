package fleet

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestIMNodeDiesUnheard kills an IM node's process while a node that leads shards does
// not hear the leader of the meta group, and all else is whole: what it leads goes to
// nodes that do, so that no user stays online for good. Then it has its share again.
func TestIMNodeDiesUnheard(t *testing.T) {
	w, s := apart(t)
	w.balance(t)
	users := w.everywhere("unheard", 1)
	heard := slices.Index(w.doors, w.metaLeader(t))
	deaf, bridge := w.doors[(heard+1)%3], w.doors[(heard+2)%3]
	im := w.imNode(t, bridge, users)
	if led, err := bridge.ledBy(t.Context(), deaf); err != nil || led == 0 {
		t.Fatal(led, err)
	}
	if err := s.Split([]int{heard}, []int{(heard + 1) % 3}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Heal(); err != nil {
			t.Error(err)
		}
	})
	died := time.Now()
	if err := im.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, 30*time.Second, "offline", func() error {
		n, err := bridge.online(t.Context(), users)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d users are online", n)
		}
		return err
	})
	t.Logf("all %d users were offline %s after the death of their IM node (lease %s)", len(users), time.Since(died).Round(time.Millisecond), leaseTTL)
	until(t, 20*time.Second, "leads nothing", func() error {
		err := bridge.leads(t.Context(), deaf, 0)
		if err != nil && w.metaLeader(t) != w.doors[heard] {
			t.Logf("the meta group is led elsewhere by now, and %v", err)
			return nil
		}
		return err
	})
	if err := s.Heal(); err != nil {
		t.Fatal(err)
	}
	until(t, 30*time.Second, "leads again", func() error {
		led, err := bridge.ledBy(t.Context(), deaf)
		if err == nil && led == 0 {
			err = errNotYet
		}
		return err
	})
}
