package extension

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

func merged(t *testing.T, m *rousev1.MessageEvent) *rousev1.MessageEvent {
	t.Helper()
	before := proto.CloneOf(m)
	got, err := Merge(m)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(before, m) {
		t.Errorf("the message itself was changed: %v", m)
	}
	return got
}

// Each field of the extension, the way senders write it.
func TestFields(t *testing.T) {
	for _, c := range []struct{ ext, want string }{
		{`{"em_ignore_notification":true}`, `ignore_push: true`},
		{`{"em_ignore_notification":"true"}`, `ignore_push: true`},
		{`{"em_ignore_notification":1}`, `ignore_push: true`},
		{`{"em_ignore_notification":"0"}`, ``},
		{`{"em_ignore_notification":null}`, ``},
		{`{"em_force_notification":true}`, `force_push: true`},
		{`{"em_force_notification":"TRUE"}`, `force_push: true`},

		{`{"em_at_list":["a","b"]}`, `mentions: ["a", "b"]`},
		{`{"em_at_list":"all"}`, `mention_all: true`},
		{`{"em_at_list":"ALL"}`, `mention_all: true`},
		{`{"em_at_list":["a","All"]}`, `mentions: "a" mention_all: true`},
		{`{"em_at_list":"a"}`, `mentions: "a"`},
		{`{"em_at_list":[7]}`, `mentions: "7"`},
		{`{"em_at_list":""}`, ``},
		{`{"em_at_list":[]}`, ``},
		{`{"em_apns_ext":{"em_at_list":"All"}}`, `mention_all: true`},
		{`{"em_apns_ext":{"em_at_list":["a"]}}`, `mentions: "a"`},
		{`{"em_at_list":["new"],"em_apns_ext":{"em_at_list":["old"]}}`, `mentions: "new"`},
		{`{"em_at_list":null,"em_apns_ext":{"em_at_list":["old"]},"x":{}}`, `mentions: "old"`},

		{`{"em_push_filter":{"accept_device_id":["a"],"ignore_device_id":["b"],"accept_notifier_name":["c"],"ignore_notifier_name":["d"]}}`, `filter: {accept_device_ids: "a" ignore_device_ids: "b" accept_notifiers: "c" ignore_notifiers: "d"}`},
		{`{"em_push_filter":{"accept_device_id":"a"}}`, `filter: {accept_device_ids: "a"}`},
		{`{"em_push_filter":{}}`, ``},

		{`{"em_push_template":{"name":"t","title_args":["a"],"content_args":["b",3]}}`, `template: {name: "t" title_args: "a" content_args: "b" content_args: "3"}`},
		{`{"em_push_template":{"disable_at_content":true}}`, `no_mention_text: true`},
		{`{"em_push_template":{"name":"t","directed_template":{"target":["u","v"],"name":"d","title_args":["{$fromNickname}"],"content_args":["{$msg}"]}}}`, `template: {name: "t"} directed_template: {targets: "u" targets: "v" template: {name: "d" title_args: "{$fromNickname}" content_args: "{$msg}"}}`},

		{`{"em_push_ext":{"title":"T","content":"C"}}`, `content: {title: "T" body: "C"}`},
		{`{"em_push_ext":{"title":5,"content":true}}`, `content: {title: "5" body: "true"}`},
		{`{"em_push_ext":{"custom":{"k" : [1, "v"]}}}`, `content: {data: {key: "e" value: '{"k":[1,"v"]}'}}`},
		{`{"em_push_ext":{"custom":"text"}}`, `content: {data: {key: "e" value: "text"}}`},
		{`{"em_push_ext":{"group_user_nickname":"Boss"}}`, `sender_group_nickname: "Boss"`},
		{`{"em_push_ext":{"type":"call"}}`, `class: MESSAGE_CLASS_CALL`},
		{`{"em_push_ext":{"type":"other"}}`, ``},
		{`{"em_push_ext":"{\"title\":\"T\"}"}`, `content: {title: "T"}`},
		{`{"em_push_ext":""}`, ``},
		{`{"em_apns_ext":{"em_push_title":"T","em_push_content":"C"}}`, `content: {title: "T" body: "C"}`},
		{`{"em_push_ext":{"title":"new"},"em_apns_ext":{"em_push_title":"old","em_push_content":"C"}}`, `content: {title: "new" body: "C"}`},
		{`{"em_push_ext":{"custom":{"new":1}},"em_apns_ext":{"extern":{"old":1}}}`, `content: {data: {key: "e" value: '{"new":1}'}}`},
		{`{"em_apns_ext":{"extern":{"old":1}}}`, `content: {data: {key: "e" value: '{"old":1}'}}`},
		{`{"em_apns_ext":{"em_push_category":"c"}}`, `overrides: {key: "apns" value: {category: "c"}}`},
		{`{"em_apns_ext":{"em_alert_subTitle":"S"}}`, `content: {subtitle: "S"}`},
		{`{"em_apns_ext":{"em_push_mutable_content":true,"em_push_content_available":1,"thread_id":"t"}}`, `overrides: {key: "apns" value: {mutable_content: true content_available: true thread_id: "t"}}`},
		{`{"em_apns_ext":{"em_push_sound":"s.caf"}}`, `content: {sound: "s.caf"}`},
		{`{"em_apns_ext":{"em_push_badge":7}}`, `badge: 7`},
		{`{"em_apns_ext":{"em_push_badge":"7"}}`, `badge: 7`},
		{`{"em_apns_ext":{"em_push_badge":0}}`, `badge: 0`},
		{`{"em_apns_ext":{"em_push_collapse_key":"k"}}`, `collapse_id: "k"`},
		{`{"em_android_push_ext":{"fcm_channel_id":"c","fcm_options":{"analytics_label":"l"}}}`, `overrides: {key: "fcm" value: {channel_id: "c" analytics_label: "l"}}`},
		{`{"em_android_push_ext":{"fcm_options":{"analyticsLabel":"l"}}}`, `overrides: {key: "fcm" value: {analytics_label: "l"}}`},
		{`{"em_android_push_ext":{"honor_click_action":"a","honor_importance":"LOW","honor_target_user_type":1}}`, `overrides: {key: "honor" value: {click_action: "a" importance: "LOW" test: true}}`},
		{`{"em_android_push_ext":{"huawei_category":"IM","huawei_channel_id":"c","huawei_click_action":"a"}}`, `overrides: {key: "huawei" value: {category: "IM" channel_id: "c" click_action: "a"}}`},
		{`{"em_android_push_ext":{"huawei_receipt_id":"R","huawei_target_user_type":"1"}}`, `overrides: {key: "huawei" value: {receipt_id: "R" test: true}}`},
		{`{"em_android_push_ext":{"meizu_click_activity":"a","meizu_notice_type":0}}`, `overrides: {key: "meizu" value: {click_action: "a" public: true}}`},
		{`{"em_android_push_ext":{"meizu_notice_type":1}}`, `overrides: {key: "meizu" value: {category: "private"}}`},
		{`{"em_android_push_ext":{"oppo_channel_id":"c","oppo_click_activity":"a","oppo_category":"IM","oppo_notify_level":16}}`, `overrides: {key: "oppo" value: {channel_id: "c" click_action: "a" category: "IM" notify_level: 16}}`},
		{`{"em_android_push_ext":{"vivo_category":"IM","vivo_click_activity":"a"}}`, `overrides: {key: "vivo" value: {category: "IM" click_action: "a"}}`},
		{`{"em_android_push_ext":{"xiaomi_channel_id":12345,"xiaomi_click_action":"a"}}`, `overrides: {key: "xiaomi" value: {channel_id: "12345" click_action: "a"}}`},
		{`{"em_harmony_push_ext":{"category":"IM","click_action":"a","notify_id":3,"receipt_id":"R","is_test_message":true}}`, `overrides: {key: "harmony" value: {category: "IM" click_action: "a" notify_id: 3 receipt_id: "R" test: true}}`},

		{`{}`, ``},
		{`{"own":{"deep":[[[1]]]},"em_unknown":[]}`, ``},
		{` {"em_force_notification" : true } `, `force_push: true`},
	} {
		t.Run(c.ext, func(t *testing.T) {
			m := &rousev1.MessageEvent{}
			if err := prototext.Unmarshal([]byte("message_id: 'm' "+c.want), m); err != nil {
				t.Fatalf("%s: %v", c.want, err)
			}
			got := merged(t, &rousev1.MessageEvent{MessageId: "m", Extension: c.ext})
			if diff := cmp.Diff(m, got, protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What is set in the message beats the extension.
func TestMessageWins(t *testing.T) {
	m := &rousev1.MessageEvent{}
	if err := prototext.Unmarshal([]byte(`
		content: {title: "mine" data: {key: "e" value: "mine"}}
		mentions: "mine" template: {name: "mine"} class: MESSAGE_CLASS_SYSTEM badge: 0 collapse_id: "mine" sender_group_nickname: "mine"
		filter: {accept_device_ids: "mine"}
		overrides: {key: "apns" value: {category: "mine"}} overrides: {key: "vivo" value: {category: "mine"}}
	`), m); err != nil {
		t.Fatal(err)
	}
	want := proto.CloneOf(m)
	m.Extension = `{"em_at_list":["x"],"em_push_template":{"name":"x","title_args":["x"],"directed_template":{"target":["u"],"name":"d"}},
		"em_push_ext":{"title":"x","content":"theirs","custom":{"x":1},"type":"call","group_user_nickname":"x"},
		"em_apns_ext":{"em_push_badge":5,"em_push_collapse_key":"x","em_push_category":"x","thread_id":"theirs"},
		"em_push_filter":{"accept_device_id":["x"],"ignore_device_id":["theirs"]},
		"em_android_push_ext":{"xiaomi_channel_id":"theirs"}}`
	want.Content.Body = "theirs"
	want.DirectedTemplate = &rousev1.DirectedTemplate{Targets: []string{"u"}, Template: &rousev1.TemplateUse{Name: "d"}}
	want.Filter.IgnoreDeviceIds = []string{"theirs"}
	want.Overrides["apns"].ThreadId = "theirs"
	want.Overrides["xiaomi"] = &rousev1.VendorOverride{ChannelId: "theirs"}
	if diff := cmp.Diff(want, merged(t, m), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m = &rousev1.MessageEvent{MentionAll: true, Extension: `{"em_at_list":["x"]}`, DirectedTemplate: &rousev1.DirectedTemplate{Targets: []string{"mine"}}}
	if got := merged(t, m); len(got.GetMentions()) != 0 || !got.GetMentionAll() || got.GetDirectedTemplate().GetTargets()[0] != "mine" {
		t.Errorf("got %v", got)
	}
}

func TestWithoutExtension(t *testing.T) {
	m := &rousev1.MessageEvent{MessageId: "m"}
	if got, err := Merge(m); err != nil || got != m {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestFaultsNameTheField(t *testing.T) {
	long := strings.Repeat("x", 5000)
	ids := `"` + strings.Repeat(`u","`, 256) + `u"`
	for ext, want := range map[string]string{
		`[]`:                                   `extension: want a JSON object`,
		`{`:                                    `extension: want a JSON object`,
		`"x"`:                                  `extension: want a JSON object`,
		`{"em_ignore_notification":"perhaps"}`: `extension.em_ignore_notification: want true or false`,
		`{"em_ignore_notification":{}}`:        `extension.em_ignore_notification: want true or false`,
		`{"em_push_ext":[]}`:                   `extension.em_push_ext: want a JSON object`,
		`{"em_push_ext":"words"}`:              `extension.em_push_ext: want a JSON object`,
		`{"em_push_ext":{"title":{}}}`:         `extension.em_push_ext.title: want a text`,
		`{"em_push_ext":{"title":"` + long + `"}}`:                            `extension.em_push_ext.title: 5000 bytes; at most 1024`,
		`{"em_push_ext":{"custom":{"k":"` + long + `"}}}`:                     `extension.em_push_ext.custom: 5008 bytes; at most 1024`,
		`{"em_push_ext":{"group_user_nickname":"` + long[:101] + `"}}`:        `extension.em_push_ext.group_user_nickname: 101 characters; at most 100`,
		`{"em_apns_ext":{"em_push_badge":10000}}`:                             `extension.em_apns_ext.em_push_badge: want a whole number from 0 to 9999`,
		`{"em_apns_ext":{"em_push_badge":1.5}}`:                               `extension.em_apns_ext.em_push_badge: want a whole number from 0 to 9999`,
		`{"em_apns_ext":{"em_push_badge":-1}}`:                                `extension.em_apns_ext.em_push_badge: want a whole number from 0 to 9999`,
		`{"em_apns_ext":{"em_push_badge":"NaN"}}`:                             `extension.em_apns_ext.em_push_badge: want a whole number from 0 to 9999`,
		`{"em_at_list":[` + ids + `]}`:                                        `extension.em_at_list: 257 items; at most 256`,
		`{"em_at_list":{"a":1}}`:                                              `extension.em_at_list: want a list of texts`,
		`{"em_at_list":["a",[]]}`:                                             `extension.em_at_list[1]: want a text`,
		`{"em_at_list":["` + long[:129] + `"]}`:                               `extension.em_at_list[0]: 129 bytes; at most 128`,
		`{"em_push_template":{"directed_template":{"name":"d","target":{}}}}`: `extension.em_push_template.directed_template.target: want a list of texts`,
		`{"em_android_push_ext":{"oppo_notify_level":3}}`:                     `extension.em_android_push_ext.oppo_notify_level: want 1, 2 or 16`,
		`{"em_android_push_ext":{"meizu_notice_type":2}}`:                     `extension.em_android_push_ext.meizu_notice_type: want a whole number from 0 to 1`,
		`{"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`:     `extension: it nests deeper than 16`,
		`{"em_push_ext":"` + strings.Repeat("{\\\"a\\\":", 17) + `"}`:         `extension.em_push_ext: it nests deeper than 16`,
		fmt.Sprintf(`{"x":"%s"}`, strings.Repeat("x", MaxBytes)):              `extension: 16392 bytes; at most 16384 are read`,
	} {
		m := &rousev1.MessageEvent{Extension: ext}
		got, err := Merge(m)
		var typed *Error
		if got != nil || !errors.As(err, &typed) || err.Error() != want {
			t.Errorf("%.60s: got %v, want %s", ext, err, want)
		}
	}
	if got := merged(t, &rousev1.MessageEvent{Extension: `{"x":` + strings.Repeat("[", 15) + `"[[[\"[["` + strings.Repeat("]", 15) + `}`}); got == nil {
		t.Error("15 deep")
	}
}

// Whatever comes: no panic, and what is taken keeps the bounds of the contract.
func FuzzMerge(f *testing.F) {
	f.Add(`{"em_at_list":"all","em_push_ext":{"custom":{"a":1},"title":5},"em_apns_ext":{"em_push_badge":"7","extern":"x"}}`)
	f.Add(`{"em_push_template":{"name":"t","title_args":["a"],"directed_template":{"target":"u","name":"d"}},"em_push_filter":{"accept_device_id":"x"}}`)
	f.Add(`{"em_android_push_ext":{"oppo_notify_level":2,"meizu_notice_type":1},"em_harmony_push_ext":"{\"notify_id\":1e3}"}`)
	f.Add("{\"em_push_ext\":{\"content\":\"\\ud800\"}}")
	f.Fuzz(func(t *testing.T, ext string) {
		if !utf8.ValidString(ext) {
			return
		}
		m, err := Merge(&rousev1.MessageEvent{Extension: ext})
		if err != nil {
			if m != nil || len(err.Error()) > 200 {
				t.Fatalf("%v with %v", m, err)
			}
			return
		}
		c := m.GetContent()
		if len(c.GetTitle()) > 1024 || len(c.GetBody()) > 4096 || len(c.GetData()["e"]) > 1024 || len(m.GetMentions()) > 256 || m.GetBadge() > 9999 || len(m.GetExtension()) > 0 && ext != "" {
			t.Fatalf("beyond the bounds: %v", m)
		}
		if _, err := proto.Marshal(m); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkMerge(b *testing.B) {
	m := &rousev1.MessageEvent{MessageId: "m", Recipients: []string{"ann"}, Extension: `{"em_at_list":["ann"],"em_push_ext":{"title":"T","content":"C","custom":{"k":"v"}},"em_apns_ext":{"em_push_badge":7}}`}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Merge(m); err != nil {
			b.Fatal(err)
		}
	}
}
