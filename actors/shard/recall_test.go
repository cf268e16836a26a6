package shard

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

// A message that was pushed days ago, by a process that is gone, is read on
// another device and another one recalled: the phone is told the number, and
// what it shows of the recalled one is overwritten.
func TestReadAndRecallOfOldMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := user.NewApp(&rousev1.AppSettings{RecallOverwrites: true, RefreshBadges: true, DefaultTtl: nil},
			[]*rousev1.Credential{{Name: "apns", Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{}}}})
		own := func(_ *engine, o *Options) { o.User.App = func(string) *user.App { return app } }
		fs := vfs.NewMem()
		e := startEngine(t, fs, own)
		e.session("ann", "phone", disconnected, 1)
		e.bind("ann", "phone", "aa")
		for _, id := range []string{"read", "recalled", "kept"} {
			e.must("ann", event(id))
		}
		synctest.Wait()
		first := e.vendor.pushes()
		if len(first) != 3 || first[2].Badge != 3 || first[1].CollapseID == "" || first[0].CollapseID == first[1].CollapseID {
			t.Fatalf("first pushes: %+v", first)
		}
		e.stop()
		<-time.After(72 * time.Hour)

		e = startEngine(t, fs, own)
		e.must("ann", &rousev1.ReadEvent{UserId: "ann", MessageIds: []string{"read", "never"}})
		synctest.Wait()
		e.must("ann", &rousev1.RecallEvent{MessageId: "recalled", Recipients: []string{"ann"}})
		synctest.Wait()
		later := e.vendor.pushes()
		if len(later) != 2 {
			t.Fatalf("%d pushes, want a new number and an overwriting one", len(later))
		}
		if n := later[0]; n.Channel != vendors.ChannelBadge || n.Badge != 2 || n.Title+n.Body != "" {
			t.Errorf("refresh: %+v", n)
		}
		if n := later[1]; n.CollapseID != first[1].CollapseID || n.Badge != 1 || n.Sound != "" || n.Data["m"] != "recalled" || strings.Contains(n.Body, "hello") || n.Body == "" {
			t.Errorf("overwriting push: %+v", n)
		}
		if c := e.must("ann", &rousev1.GetOfflineCountRequest{}).Response.(*rousev1.GetOfflineCountResponse).GetCount(); c != 1 {
			t.Errorf("count %d, want 1", c)
		}
		// Withdrawn before it came, by a process that is gone: it is not pushed.
		e.must("ann", &rousev1.RecallEvent{MessageId: "early", Recipients: []string{"ann"}})
		e.stop()
		e = startEngine(t, fs, own)
		if r := e.must("ann", event("early")); r.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
			t.Errorf("a message that was recalled before it came: %v", r.Status)
		}
		// Again after another restart: both are known to be done.
		e.stop()
		e = startEngine(t, fs, own)
		e.must("ann", &rousev1.ReadEvent{UserId: "ann", MessageIds: []string{"read"}})
		e.must("ann", &rousev1.RecallEvent{MessageId: "recalled", Recipients: []string{"ann"}})
		synctest.Wait()
		if n := e.vendor.pushes(); len(n) != 0 {
			t.Errorf("repeats were pushed: %+v", n)
		}
		e.stop()
	})
}
