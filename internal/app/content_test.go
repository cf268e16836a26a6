package app

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// easemobExt is the extension of a message as an app with Easemob's SDK sends it.
const easemobExt = `{
	"em_force_notification": true,
	"em_at_list": ["ann"],
	"em_push_template": {
		"name": "chat", "title_args": ["Sailing club"], "content_args": [],
		"directed_template": {"target": ["carl"], "name": "other", "title_args": [], "content_args": []}
	},
	"em_push_ext": {"title": "not shown", "content": "a template is", "custom": {"type": 1, "extern": 123}, "group_user_nickname": "Captain"},
	"em_apns_ext": {
		"em_push_title": "old title", "em_push_category": "REPLY", "em_alert_subTitle": "Cup", "em_push_mutable_content": true,
		"em_push_sound": "bell.caf", "em_push_badge": 5, "em_push_collapse_key": "race", "thread_id": "club"
	},
	"em_android_push_ext": {"huawei_category": "IM", "oppo_category": "IM", "oppo_notify_level": 2, "xiaomi_channel_id": "118927"},
	"em_harmony_push_ext": {"category": "IM", "is_test_message": false},
	"app_key_of_ours": {"anything": [1, 2, 3]}
}`

// A sender that speaks Easemob's extension is understood as it is, from the
// JSON of an IM node to what Apple gets.
func TestEasemobSender(t *testing.T) {
	dir := t.TempDir()
	n := start(t, dir)
	defer func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	operator, err := os.ReadFile(filepath.Join(dir, OperatorKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(operator))
	vendor, p8, ca := startAPNs(t)
	call := func(method string, body map[string]any) map[string]any {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		status, got := post(t, n, key, method, string(text))
		if status != http.StatusOK {
			t.Fatalf("%s: %v", method, got)
		}
		return got
	}
	call("AdminService/CreateApp", map[string]any{"appId": "chat", "settings": map[string]any{"senderNicknames": true}})
	call("AdminService/PutCredential", map[string]any{"appId": "chat", "credential": map[string]any{"name": "apns", "apns": map[string]any{
		"bundleId": "im.rouse.chat", "keyId": "KEY", "teamId": "TEAM", "authKeyPem": p8, "endpoint": vendor.url, "caPem": ca,
	}}})
	key = call("AdminService/CreateApiKey", map[string]any{"appId": "chat", "role": "ROLE_ADMIN"})["secret"].(string)
	call("AdminService/PutTemplate", map[string]any{"template": map[string]any{"name": "chat", "texts": map[string]any{
		"":        map[string]any{"titlePattern": "{0}", "contentPattern": "{$dynamicFrom} ({$fromNickname}): {$msg}"},
		"zh-Hans": map[string]any{"titlePattern": "{0}", "contentPattern": "{$dynamicFrom}（{$fromNickname}）：{$msg}"},
	}}})
	call("SettingsService/SetUserSettings", map[string]any{"userId": "bob", "settings": map[string]any{"nickname": "Bob B."}})
	call("DeviceService/BindToken", map[string]any{"userId": "ann", "deviceId": "phone", "notifier": "apns", "token": canaryToken, "device": map[string]any{"locale": "zh_CN"}})
	call("IntakeService/IngestBatch", map[string]any{"events": []any{map[string]any{"message": map[string]any{
		"messageId": "m1", "recipients": []string{"ann"}, "sender": "bob", "conversationType": "CONVERSATION_TYPE_GROUP", "conversationId": "g7",
		"text": "The start is at ten", "translations": map[string]string{"zh-Hans": "十点开始"}, "extension": easemobExt,
	}}}})
	awaitOutcomes(t, n, key)

	device, _ := vendor.apns.Device(canaryToken)
	if len(device.Received) != 1 {
		t.Fatalf("%d pushes", len(device.Received))
	}
	want := `{"aps":{"alert":{"title":"Sailing club","subtitle":"Cup","body":"Captain（Bob B.）：十点开始"},"badge":5,"sound":"bell.caf",` +
		`"thread-id":"club","category":"REPLY","mutable-content":1},"e":"{\"type\":1,\"extern\":123}","f":"bob","g":"g7","m":"m1","t":"ann"}`
	if diff := cmp.Diff(want, string(device.Received[0].Payload)); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	if id := device.Received[0].CollapseID; id != "race" {
		t.Errorf("collapse id %q", id)
	}
}
