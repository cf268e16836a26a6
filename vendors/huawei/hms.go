package huawei

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

type hmsBody struct {
	Message hmsMessage `json:"message"`
}

type hmsMessage struct {
	Data         string     `json:"data,omitempty"`
	Notification hmsText    `json:"notification"`
	Android      hmsAndroid `json:"android"`
	Token        []string   `json:"token"`
}

type hmsText struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Image string `json:"image,omitempty"`
}

type hmsAndroid struct {
	Category     string          `json:"category"`
	TTL          string          `json:"ttl"`
	BiTag        string          `json:"bi_tag"`
	ReceiptID    string          `json:"receipt_id,omitempty"`
	TestUser     int             `json:"target_user_type,omitempty"`
	Notification hmsNotification `json:"notification"`
}

type hmsNotification struct {
	ClickAction  hmsClick  `json:"click_action"`
	ChannelID    string    `json:"channel_id,omitempty"`
	Importance   string    `json:"importance"`
	Badge        *hmsBadge `json:"badge,omitempty"`
	Tag          string    `json:"tag,omitempty"`
	Group        string    `json:"group,omitempty"`
	Sound        string    `json:"sound,omitempty"`
	DefaultSound bool      `json:"default_sound,omitempty"`
}

type hmsClick struct {
	Type   int    `json:"type"` // 1 = the page of intent or action, 3 = the app
	Intent string `json:"intent,omitempty"`
	Action string `json:"action,omitempty"`
}

type hmsBadge struct {
	Add   *int   `json:"add_num,omitempty"`
	Set   *int   `json:"set_num,omitempty"`
	Class string `json:"class"`
}

// writeHMS maps for POST /v1/{app}/messages:send. The collapse id is the tag,
// by which the phone replaces what it shows; collapse_key knows only 101
// groups and drops messages before they are shown.
func writeHMS(p *parsed, n *vendors.Notification, title, body string, tokens []string, now time.Time) []byte {
	a := hmsAndroid{
		Category: p.categoryOf(n), TTL: strconv.Itoa(seconds(n, now)) + "s", BiTag: n.PushID, ReceiptID: cmp.Or(n.Override.ReceiptID, p.ReceiptID),
		Notification: hmsNotification{
			ClickAction: hmsClick{Type: 3}, ChannelID: p.channelOf(n), Importance: "NORMAL",
			Tag: n.CollapseID, Group: n.ThreadID,
		},
	}
	if n.Class == vendors.ClassMarketing {
		a.Notification.Importance = "LOW"
	}
	if p.TestMessages || n.Override.Test {
		a.TestUser = 1
	}
	intent, action := p.ClickIntent, p.ClickAction
	if n.Override.ClickAction != "" {
		intent, action = vendors.Click(n.Override.ClickAction)
	}
	if intent != "" || action != "" {
		a.Notification.ClickAction = hmsClick{1, intent, action}
	}
	if add, set := p.badgeOf(n); p.BadgeClass != "" && (add != nil || set != nil) {
		a.Notification.Badge = &hmsBadge{add, set, p.BadgeClass}
	}
	switch {
	case n.Sound == "default":
		a.Notification.DefaultSound = true
	case n.Sound != "" && !strings.HasPrefix(n.Sound, "/"):
		a.Notification.Sound = "/raw/" + n.Sound
	default:
		a.Notification.Sound = n.Sound
	}
	m := hmsMessage{Notification: hmsText{title, body, n.ImageURL}, Android: a, Token: tokens}
	if len(n.Data) > 0 {
		m.Data = string(courier.JSON(n.Data))
	}
	return courier.JSON(hmsBody{m})
}
