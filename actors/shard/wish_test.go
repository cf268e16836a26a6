package shard

import (
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// dump is all keys and values of the users.
func (e *engine) dump() map[string]string {
	e.t.Helper()
	all := map[string]string{}
	for s := uint16(1); s <= e.store.Shards(); s++ {
		for _, r := range storage.ShardRanges(s) {
			if err := e.store.Scan(r, func(k, v []byte) bool { all[string(k)] = string(v); return true }); err != nil {
				e.t.Fatal(err)
			}
		}
	}
	return all
}

func (e *engine) explain(who string, m *rousev1.MessageEvent) *rousev1.ExplainResponse {
	e.t.Helper()
	return e.must(who, &rousev1.ExplainRequest{UserId: who, Message: m}).Response.(*rousev1.ExplainResponse)
}

func TestExplainLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aabb")
		before := e.dump()
		r := e.explain("ann", event("m1"))
		if len(r.GetDevices()) != 1 || r.GetDevices()[0].GetOutcome().GetReason() != rousev1.Reason_REASON_QUEUED || len(r.GetSteps()) == 0 {
			t.Errorf("explained as %v", r)
		}
		e.explain("nobody", event("m1"))
		synctest.Wait()
		if s := e.lanes.Get("app", "apns").Stats(); s.Reserved != 0 || len(e.vendor.pushes()) != 0 {
			t.Error("explaining came as far as the lane")
		}
		if after := e.dump(); len(after) != len(before) {
			t.Errorf("%d keys before, %d after", len(before), len(after))
		}
		e.must("ann", event("m1")) // it was not decided before
		synctest.Wait()
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		if in := e.explain("ann", event("m1")).GetSteps()[0].GetInputs(); in["decided_before"] != "true" {
			t.Errorf("the repeat step looked at %v", in)
		}
		e.stop()
	})
}
