//go:build !race

package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

func TestStatusOfSeveralNodes(t *testing.T) {
	early, late := timestamppb.New(time.Unix(100, 0)), timestamppb.New(time.Unix(200, 0))
	all := &rousev1.CredentialStatus{
		Name: "ios", State: rousev1.CredentialState_CREDENTIAL_STATE_VALID, Queued: 3, InFlight: 1, PerSecond: 40, PausedUntil: early,
		Quotas: []*rousev1.QuotaUse{{Class: rousev1.MessageClass_MESSAGE_CLASS_IM, Used: 10, Limit: 50}},
	}
	addStatus(all, &rousev1.CredentialStatus{
		State: rousev1.CredentialState_CREDENTIAL_STATE_UNREACHABLE, Reason: rousev1.Reason_REASON_NO_SHARE, VendorCode: "503", Queued: 4, InFlight: 2, PerSecond: 60, PausedUntil: late,
		Quotas: []*rousev1.QuotaUse{
			{Class: rousev1.MessageClass_MESSAGE_CLASS_IM, Used: 12, Limit: 50, ExhaustedUntil: late},
			{Class: rousev1.MessageClass_MESSAGE_CLASS_CALL, Used: 1, Limit: 2},
		},
	})
	addStatus(all, &rousev1.CredentialStatus{State: rousev1.CredentialState_CREDENTIAL_STATE_UNTRIED, Reason: rousev1.Reason_REASON_DEVICE_CAP})
	want := &rousev1.CredentialStatus{
		Name: "ios", State: rousev1.CredentialState_CREDENTIAL_STATE_UNREACHABLE, Reason: rousev1.Reason_REASON_NO_SHARE, VendorCode: "503",
		Queued: 7, InFlight: 3, PerSecond: 100, PausedUntil: late,
		Quotas: []*rousev1.QuotaUse{
			{Class: rousev1.MessageClass_MESSAGE_CLASS_IM, Used: 12, Limit: 50, ExhaustedUntil: late},
			{Class: rousev1.MessageClass_MESSAGE_CLASS_CALL, Used: 1, Limit: 2},
		},
	}
	if diff := cmp.Diff(want, all, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What only one node knows of a credential is told by each, and who gives no answer
// is named.
func TestCredentialStatusIsOfAllNodes(t *testing.T) {
	dir := t.TempDir()
	one, err := startWithin(t, 20*time.Second, memberConfig(dir, "one", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, one)
	two, err := startWithin(t, 20*time.Second, memberConfig(dir, "two", gossipOf(t, one)))
	if err != nil {
		t.Fatal(err)
	}
	key := operatorKey(t, one.o.Config.Data.Dir)
	private, _, err := fake.NewAPNsKey()
	if err != nil {
		t.Fatal(err)
	}
	credential := map[string]any{"app_id": "chat", "credential": map[string]any{"name": "ios", "apns": map[string]any{
		"bundle_id": "im.chat", "key_id": "KEY", "team_id": "TEAM", "auth_key_pem": string(private),
	}}}
	body, err := json.Marshal(credential)
	if err != nil {
		t.Fatal(err)
	}
	for method, request := range map[string]string{"CreateApp": `{"appId":"chat"}`} {
		if status, got := post(t, one, key, "AdminService/"+method, request); status != 200 {
			t.Fatal(status, got)
		}
	}
	if status, got := post(t, two, key, "AdminService/PutCredential", string(body)); status != 200 {
		t.Fatal(status, got)
	}
	two.apps.broken.Store(credentialName{"chat", "ios"}, true)
	ask := func(n *Node, state, missing string) {
		t.Helper()
		_, got := post(t, n, key, "AdminService/GetCredentialStatus", `{"appId":"chat","name":"ios"}`)
		b, err := json.Marshal(got)
		var r struct {
			Status       struct{ State string }
			MissingNodes []string
		}
		if err != nil || json.Unmarshal(b, &r) != nil || r.Status.State != state || len(r.MissingNodes) > 0 != (missing != "") || missing != "" && r.MissingNodes[0] != missing {
			t.Errorf("%s tells %s", n.peers.name, b)
		}
	}
	ask(one, "CREDENTIAL_STATE_INVALID", "")
	ask(two, "CREDENTIAL_STATE_INVALID", "")
	stop(t, two)
	ask(one, "CREDENTIAL_STATE_UNTRIED", "two")
	if _, got := post(t, one, key, "AdminService/GetWebhooks", `{"appId":"chat"}`); len(got["missingNodes"].([]any)) != 1 {
		t.Errorf("webhooks: %v", got)
	}
}
