package fleet

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// TestOlderCopy brings a node back on an older copy of its directory, as after a disk
// that did not keep what it had synced: it is told of, and once the node is whole it
// may be one of the last two.
func TestOlderCopy(t *testing.T) {
	t.Parallel()
	w := three(t, 2, nil)
	victim, old := w.doors[2], w.doors[2].Dir+"-old"
	if err := errors.Join(victim.Kill(), os.CopyFS(old, os.DirFS(victim.Dir)), victim.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	w.whole(t)
	const each = 300
	users := w.flood(t, "lost", w.doors[0], each)
	w.whole(t)
	if err := errors.Join(victim.Kill(), os.RemoveAll(victim.Dir), os.Rename(old, victim.Dir), victim.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	until(t, 20*time.Second, "the loss is told of", func() error {
		s, err := w.doors[0].status(t.Context())
		if err != nil {
			return err
		}
		for _, warning := range s.GetWarnings() {
			if warning.GetKind() == rousev1.ClusterWarningKind_CLUSTER_WARNING_KIND_ENTRIES_LOST && strings.Contains(warning.GetMessage(), victim.Name) {
				return nil
			}
		}
		return fmt.Errorf("the warnings are %v", s.GetWarnings())
	})
	until(t, 20*time.Second, "the node is whole", func() error {
		s, err := w.doors[0].status(t.Context())
		if err != nil {
			return err
		}
		for _, n := range s.GetNodes() {
			if r := n.GetReport(); r == nil || r.GetLacking() > 0 {
				return fmt.Errorf("%s reports %v", n.GetName(), r)
			}
		}
		return nil
	})
	w.whole(t)
	if err := w.doors[0].Kill(); err != nil {
		t.Fatal(err)
	}
	for _, d := range w.others(w.doors[0]) {
		if err := eachOf(users, func(user string) error { return d.counts(t.Context(), user, each) }); err != nil {
			t.Error(err)
		}
	}
}
