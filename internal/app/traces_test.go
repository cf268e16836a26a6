package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

func (r *reported) trace(query string) []*rousev1.MessageTrace {
	r.t.Helper()
	status, got := post(r.t, r.node, r.key, "TraceService/Trace", query)
	if status != http.StatusOK {
		r.t.Fatalf("trace %s: %d %v", query, status, got)
	}
	text, err := json.Marshal(got)
	if err != nil {
		r.t.Fatal(err)
	}
	out := &rousev1.TraceResponse{}
	if err := protojson.Unmarshal(text, out); err != nil {
		r.t.Fatal(err)
	}
	return out.GetTraces()
}

// Who got a message, and why somebody did not, is told from the intake to the
// vendor's receipt: by message for all recipients in all shards, by push, and by
// user; the same after a restart, and nothing of who was erased.
func TestTraces(t *testing.T) {
	r := newReported(t, nil)
	r.must("AdminService/UpdateApp", map[string]any{"appId": "chat", "settings": map[string]any{"traceSample": 1}})
	const strangers = 40
	var everybody []string
	for i := range strangers {
		everybody = append(everybody, fmt.Sprint("stranger", i))
	}
	r.bind("ann", "phone", miToken)
	r.mi.Receipts.SetDevice(miToken, fake.Muted)
	r.must("IntakeService/IngestBatch", map[string]any{"events": []any{map[string]any{"message": map[string]any{
		"messageId": "m1", "recipients": append(everybody, "ann"), "sender": "zoe", "content": map[string]any{"body": "b"},
	}}}})
	r.until("UserService/ListOutcomes", "ann", "receiptReason:REASON_MUTED_ON_DEVICE")

	check := func(when string) (pushID string) {
		t.Helper()
		all := r.trace(`{"messageId":"m1","limit":1000}`)
		if len(all) != strangers+1 {
			t.Fatalf("%s: %d recipients, want %d", when, len(all), strangers+1)
		}
		for _, tr := range all {
			d := tr.GetDevices()[0]
			if tr.GetUserId() == "ann" {
				pushID = d.GetOutcome().GetPushId()
				continue
			}
			last := tr.GetSteps()[len(tr.GetSteps())-1]
			if last.GetStep() != rousev1.DecisionStep_DECISION_STEP_USER || last.GetReason() != rousev1.Reason_REASON_NO_USER || !strings.Contains(d.GetExplanationEn(), "ever reported") {
				t.Errorf("%s: %s: %v", when, tr.GetUserId(), tr)
			}
		}
		for _, query := range []string{`{"pushId":"` + pushID + `"}`, `{"userId":"ann"}`, `{"messageId":"m1","recipient":"ann"}`} {
			all := r.trace(query)
			if len(all) != 1 || len(all[0].GetDevices()) != 1 || !all[0].GetSampled() {
				t.Fatalf("%s: %s: %v", when, query, all)
			}
			d := all[0].GetDevices()[0]
			steps := d.GetSteps()
			receipt, vendor := steps[len(steps)-1], steps[len(steps)-2]
			if receipt.GetStep() != rousev1.DecisionStep_DECISION_STEP_RECEIPT || receipt.GetReason() != rousev1.Reason_REASON_MUTED_ON_DEVICE ||
				vendor.GetStep() != rousev1.DecisionStep_DECISION_STEP_VENDOR || vendor.GetInputs()["vendor_id"] == "" || vendor.GetAt() == nil {
				t.Errorf("%s: %s: %v", when, query, steps)
			}
			if !strings.Contains(d.GetExplanationZh(), "关闭") || d.GetOutcome().GetPushId() != pushID {
				t.Errorf("%s: %s: %v", when, query, d)
			}
		}
		if all := r.trace(`{"messageId":"m1","limit":7}`); len(all) != 7 {
			t.Errorf("%s: %d recipients, want 7", when, len(all))
		}
		return pushID
	}
	check("before")
	r.stop()
	r.start()
	pushID := check("after a restart")

	for _, query := range []string{
		`{"messageId":"m1\u0000"}`, `{"messageId":"m1\u001fr1\u001fphone"}`, `{"messageId":"m\u0001"}`, `{"userId":"../../etc"}`,
		`{"pushId":"` + strings.Repeat("%", 36) + `"}`, `{"messageId":"m1","recipient":"\u0000"}`,
	} {
		if status, got := post(t, r.node, r.key, "TraceService/Trace", query); status != http.StatusBadRequest && (status != http.StatusOK || got["traces"] != nil) {
			t.Errorf("%s: %d %v", query, status, got)
		}
	}
	r.must("UserService/EraseUser", map[string]any{"userId": "ann"})
	if all := r.trace(`{"messageId":"m1","limit":1000}`); len(all) != strangers {
		t.Errorf("%d recipients are left, want %d", len(all), strangers)
	}
	for _, query := range []string{`{"pushId":"` + pushID + `"}`, `{"userId":"ann"}`} {
		if all := r.trace(query); len(all) != 0 {
			t.Errorf("of an erased user: %s: %v", query, all)
		}
	}
	r.stop()
}
