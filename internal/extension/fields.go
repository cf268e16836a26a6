package extension

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Bounds of the contract (intake.proto, template.proto).
const (
	maxTitle, maxBody           = 1024, 4096
	maxUser, maxMentions        = 128, 256
	maxFilter                   = 32
	maxTemplate                 = 64
	maxArgs, maxArg             = 16, 512
	maxTargets                  = 256
	maxName                     = 100
	maxWord                     = 64 // categories, channels, sounds, ids
	maxClick                    = 512
	maxImportance               = 16
	maxLabel                    = 50
	maxBadge             uint32 = 9999
	maxNotifyID          uint32 = 1<<31 - 1
	maxCustom                   = 1024
)

// customKey is where the app finds what the sender added.
const customKey = "e"

// message is what the extension says in the fields of the contract.
func (r *reader) message(ext object) *rousev1.MessageEvent {
	push, apns := ext.object("em_push_ext"), ext.object("em_apns_ext")
	m := &rousev1.MessageEvent{
		IgnorePush:          ext.flag("em_ignore_notification"),
		ForcePush:           ext.flag("em_force_notification"),
		CollapseId:          apns.text("em_push_collapse_key", maxWord),
		SenderGroupNickname: push.name("group_user_nickname", maxName),
		Filter:              filter(ext.object("em_push_filter")),
		Content:             content(push, apns),
	}
	if badge, ok := apns.number("em_push_badge", maxBadge); ok {
		m.Badge = new(badge)
	}
	if strings.EqualFold(push.text("type", maxWord), "call") {
		m.Class = rousev1.MessageClass_MESSAGE_CLASS_CALL
	}
	at := ext
	if len(ext.raw("em_at_list")) == 0 {
		at = apns // where older senders put it
	}
	m.Mentions, m.MentionAll = mentions(at.list("em_at_list", maxMentions, maxUser))
	templates(m, ext.object("em_push_template"))
	overrides(m, apns, ext.object("em_android_push_ext"), ext.object("em_harmony_push_ext"))
	return m
}

// mentions takes "all", in any case, for everybody.
func mentions(list []string) (users []string, all bool) {
	users = slices.DeleteFunc(list, func(s string) bool {
		everybody := strings.EqualFold(s, "all")
		all = all || everybody
		return everybody || s == ""
	})
	return users, all
}

func filter(o object) *rousev1.DeviceFilter {
	list := func(key string) []string { return o.list(key, maxFilter, maxUser) }
	f := &rousev1.DeviceFilter{
		AcceptDeviceIds: list("accept_device_id"), IgnoreDeviceIds: list("ignore_device_id"),
		AcceptNotifiers: list("accept_notifier_name"), IgnoreNotifiers: list("ignore_notifier_name"),
	}
	if len(f.AcceptDeviceIds)+len(f.IgnoreDeviceIds)+len(f.AcceptNotifiers)+len(f.IgnoreNotifiers) == 0 {
		return nil
	}
	return f
}

// content prefers em_push_ext, which is the newer place.
func content(push, apns object) *rousev1.Content {
	c := &rousev1.Content{
		Title: push.text("title", maxTitle), Body: push.text("content", maxBody),
		Subtitle: apns.text("em_alert_subTitle", maxTitle), Sound: apns.text("em_push_sound", maxWord),
	}
	if title := apns.text("em_push_title", maxTitle); c.Title == "" {
		c.Title = title
	}
	if body := apns.text("em_push_content", maxBody); c.Body == "" {
		c.Body = body
	}
	custom, extern := push.json("custom", maxCustom), apns.json("extern", maxCustom)
	if custom == "" {
		custom = extern
	}
	if custom != "" {
		c.Data = map[string]string{customKey: custom}
	}
	if proto.Equal(c, &rousev1.Content{}) {
		return nil
	}
	return c
}

func templates(m *rousev1.MessageEvent, o object) {
	m.NoMentionText = o.flag("disable_at_content")
	m.Template = template(o)
	directed := o.object("directed_template")
	if t := template(directed); t != nil {
		m.DirectedTemplate = &rousev1.DirectedTemplate{Targets: directed.list("target", maxTargets, maxUser), Template: t}
	}
}

func template(o object) *rousev1.TemplateUse {
	t := &rousev1.TemplateUse{
		Name:      o.text("name", maxTemplate),
		TitleArgs: o.list("title_args", maxArgs, maxArg), ContentArgs: o.list("content_args", maxArgs, maxArg),
	}
	if t.Name == "" {
		return nil
	}
	return t
}

// overrides are what the extension asks of single vendors.
func overrides(m *rousev1.MessageEvent, apns, android, harmony object) {
	notice, asked := android.number("meizu_notice_type", 1)
	meizu := &rousev1.VendorOverride{ClickAction: android.text("meizu_click_activity", maxClick), Public: asked && notice == 0}
	if asked && notice == 1 {
		meizu.Category = "private"
	}
	level, _ := android.number("oppo_notify_level", 16)
	if !slices.Contains([]uint32{0, 1, 2, 16}, level) {
		android.fail(android.at("oppo_notify_level"), "want 1, 2 or 16")
	}
	notifyID, _ := harmony.number("notify_id", maxNotifyID)
	for vendor, o := range map[string]*rousev1.VendorOverride{
		"apns": {
			Category: apns.text("em_push_category", maxWord), MutableContent: apns.flag("em_push_mutable_content"),
			ContentAvailable: apns.flag("em_push_content_available"), ThreadId: apns.text("thread_id", maxWord),
		},
		"fcm": {ChannelId: android.text("fcm_channel_id", maxWord), AnalyticsLabel: analyticsLabel(android.object("fcm_options"))},
		"honor": {
			ClickAction: android.text("honor_click_action", maxClick), Importance: android.text("honor_importance", maxImportance),
			Test: android.flag("honor_target_user_type"),
		},
		"huawei": {
			Category: android.text("huawei_category", maxWord), ChannelId: android.text("huawei_channel_id", maxWord),
			ClickAction: android.text("huawei_click_action", maxClick), ReceiptId: android.text("huawei_receipt_id", maxWord),
			Test: android.flag("huawei_target_user_type"),
		},
		"meizu": meizu,
		"oppo": {
			ChannelId: android.text("oppo_channel_id", maxWord), ClickAction: android.text("oppo_click_activity", maxClick),
			Category: android.text("oppo_category", maxWord), NotifyLevel: level,
		},
		"vivo":   {Category: android.text("vivo_category", maxWord), ClickAction: android.text("vivo_click_activity", maxClick)},
		"xiaomi": {ChannelId: android.text("xiaomi_channel_id", maxWord), ClickAction: android.text("xiaomi_click_action", maxClick)},
		"harmony": {
			Category: harmony.text("category", maxWord), ClickAction: harmony.text("click_action", maxClick), NotifyId: notifyID,
			ReceiptId: harmony.text("receipt_id", maxWord), Test: harmony.flag("is_test_message"),
		},
	} {
		if proto.Equal(o, &rousev1.VendorOverride{}) {
			continue
		}
		if m.Overrides == nil {
			m.Overrides = make(map[string]*rousev1.VendorOverride)
		}
		m.Overrides[vendor] = o
	}
}

// analyticsLabel is in Google's spelling for servers, or in its JSON's.
func analyticsLabel(o object) string {
	if label := o.text("analytics_label", maxLabel); label != "" {
		return label
	}
	return o.text("analyticsLabel", maxLabel)
}
