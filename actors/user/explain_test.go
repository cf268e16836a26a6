package user

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// explain asks and checks that asking changed nothing.
func (w *world) explain(c Message) *rousev1.ExplainResponse {
	w.t.Helper()
	before, pending := string(w.s.Encode(nil)), len(w.s.Pending)
	e := w.env
	e.Trail = &Trail{}
	e.Room = func(string) bool { w.t.Fatalf("explaining took room in a lane"); return false }
	r := w.s.Explain(w.know(c).(Message), &e)
	if string(w.s.Encode(nil)) != before || len(w.s.Pending) != pending {
		w.t.Fatalf("explaining changed the user")
	}
	return r
}

// words of steps, one a line: step, verdict, reason and rule.
func words(steps []*rousev1.TraceStep) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(strings.TrimPrefix(s.GetStep().String(), "DECISION_STEP_"))
		b.WriteString(" " + strings.TrimPrefix(s.GetVerdict().String(), "STEP_VERDICT_"))
		if s.GetReason() != 0 {
			b.WriteString(" " + strings.TrimPrefix(s.GetReason().String(), "REASON_"))
		}
		if s.GetRule() != "" {
			b.WriteString(" (" + s.GetRule() + ")")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Step 10 comes before step 13: of a user that nobody knows it says so, even
// if the sender switched the push off.
func TestStep10BeforeStep13(t *testing.T) {
	w := newWorld(t, nil)
	ignored := func(m *rousev1.MessageEvent) { m.IgnorePush = true }
	_, got := w.message(ignored)
	expect(t, got, map[string]string{">": "NO_USER"})
	w.session("phone", disconnected)
	_, got = w.message(ignored)
	expect(t, got, map[string]string{"phone>": "IGNORED_BY_SENDER"})
}

// Steps 5-7 come before step 10.
func TestStep5BeforeStep10(t *testing.T) {
	w := newWorld(t, nil)
	_, got := w.message(func(m *rousev1.MessageEvent) { m.Kind = rousev1.MessageKind_MESSAGE_KIND_RECEIPT })
	expect(t, got, map[string]string{">": "KIND_NOT_PUSHED"})
}

func TestExplainTellsEachStep(t *testing.T) {
	w := offlinePhone(t)
	w.bind("pad", "off", "bb")
	w.session("desk", kicked)
	r := w.explain(Message{MessageEvent: &rousev1.MessageEvent{MessageId: "m", Sender: "bob", Badge: proto.Uint32(7)}})
	if diff := cmp.Diff(`REPEAT PASS
CONVERSATION PASS
KIND PASS
GROUP_SIZE PASS
AGE PASS
COUNT PASS
USER PASS
IGNORE PASS
POLICY PASS (app policy)
FORCE PASS
QUIET PASS
MODE PASS (default)
`, words(r.GetSteps())); diff != "" {
		t.Error(diff)
	}
	want := map[string]string{
		"phone": "PRESENCE PASS\nFILTER PASS\nBINDING PASS\nCREDENTIAL PASS\nCONTENT PASS (style)\nBADGE PASS (message badge)\nLIFETIME PASS (app default_ttl)\n",
		"pad":   "PRESENCE PASS\nFILTER PASS\nBINDING PASS\nCREDENTIAL STOP NOTIFIER_DISABLED\n",
		"desk":  "PRESENCE STOP KICKED\n",
	}
	got := map[string]string{}
	for _, d := range r.GetDevices() {
		got[d.GetOutcome().GetDeviceId()] = words(d.GetSteps())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	o := r.GetDevices()[0].GetOutcome()
	if o.GetStatus() != isPending || o.GetReason() != rousev1.Reason_REASON_QUEUED || o.GetBadge() != 7 || o.GetNotifier() != "apns" || o.GetPushId() == "" {
		t.Errorf("the phone's outcome is %v", o)
	}
	if in := r.GetDevices()[0].GetSteps()[3].GetInputs(); in["notifier"] != "apns" || in["pushes"] != "1" {
		t.Errorf("the credential step looked at %v", in)
	}
	if in := r.GetSteps()[4].GetInputs(); in["age_s"] != "0" || in["left_s"] != "86400" {
		t.Errorf("the age step looked at %v", in)
	}
	if in := r.GetSteps()[8].GetInputs(); in["policy"] != "MULTI_DEVICE_POLICY_ALL_OFFLINE" || in["delays"] != "false" {
		t.Errorf("the policy step looked at %v", in)
	}
}

// A message that was decided is explained as if it came now.
func TestExplainAgain(t *testing.T) {
	w := offlinePhone(t)
	m := &rousev1.MessageEvent{MessageId: "m", Sender: "bob"}
	w.do(Message{MessageEvent: m})
	r := w.explain(Message{MessageEvent: m})
	if o := r.GetDevices()[0].GetOutcome(); o.GetBadge() != 2 || o.GetReason() != rousev1.Reason_REASON_QUEUED {
		t.Errorf("outcome %v", o)
	}
	if in := r.GetSteps()[0].GetInputs(); in["decided_before"] != "true" {
		t.Errorf("the repeat step looked at %v", in)
	}
}

// What explaining says is what deciding then does, and each verdict that stops
// a device is the reason of exactly one step that is said to have stopped it.
func TestExplainAgreesWithDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, &rousev1.AppSettings{
			DevicePolicy:    &rousev1.DevicePolicy{Policy: rousev1.MultiDevicePolicy(rapid.IntRange(0, 4).Draw(t, "policy"))},
			PushAllKinds:    rapid.Bool().Draw(t, "all kinds"),
			PushAllBindings: rapid.Bool().Draw(t, "all bindings"),
		})
		for _, id := range []string{"a", "b", "c"} {
			if st := rapid.IntRange(0, 5).Draw(t, "state"); st > 0 {
				w.session(id, rousev1.SessionState(st))
			}
			for _, n := range []string{"apns", "voip", "off", "gone", "fcm"} {
				if rapid.Bool().Draw(t, "bound") {
					w.bind(id, n, id+n)
				}
			}
		}
		m := drawMessage(t)
		r := w.explain(Message{MessageEvent: m})
		d := w.do(Message{MessageEvent: m})
		want := d.Touched[0].Outcomes("app", "ann")
		if len(want) != len(r.GetDevices()) {
			t.Fatalf("%d outcomes explained, %d decided", len(r.GetDevices()), len(want))
		}
		for i, got := range r.GetDevices() {
			if !proto.Equal(got.GetOutcome(), want[i]) {
				t.Fatalf("explained %v\ndecided   %v", got.GetOutcome(), want[i])
			}
			var stops []rousev1.Reason
			for _, s := range append(r.GetSteps(), got.GetSteps()...) {
				if s.GetVerdict() == verdictStop {
					stops = append(stops, s.GetReason())
				}
			}
			if want[i].GetDeviceId() != "" && want[i].GetStatus() == suppressed && (len(stops) != 1 || stops[0] != want[i].GetReason()) {
				t.Fatalf("stopped by %v, the steps say %v", want[i].GetReason(), stops)
			}
			if want[i].GetStatus() != suppressed && len(stops) != 0 {
				t.Fatalf("pushed although %v", stops)
			}
		}
	})
}

func drawMessage(t *rapid.T) *rousev1.MessageEvent {
	flag := func(name string) bool { return rapid.IntRange(0, 5).Draw(t, name) == 0 }
	m := &rousev1.MessageEvent{
		MessageId: "m", Sender: rapid.SampledFrom([]string{"bob", "bob", "bob", "ann"}).Draw(t, "sender"), ConversationId: "c",
		ConversationType: rousev1.ConversationType(rapid.SampledFrom([]int32{0, 1, 1, 2, 2, 3}).Draw(t, "type")),
		GroupSize:        rapid.SampledFrom([]uint32{0, 3000, 3000, 3001}).Draw(t, "size"),
		OnlineOnly:       flag("online only"), IgnorePush: flag("ignore"), NoCount: flag("no count"),
		Class: rousev1.MessageClass(rapid.IntRange(0, 4).Draw(t, "class")),
	}
	if flag("kind") {
		m.Kind = rousev1.MessageKind_MESSAGE_KIND_COMMAND
	}
	if flag("filter") {
		m.Filter = &rousev1.DeviceFilter{IgnoreDeviceIds: []string{"a"}, AcceptNotifiers: []string{"apns", "off"}}
	}
	return m
}
