package huawei

import (
	"cmp"
	"hash/fnv"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
)

type harmonyBody struct {
	Payload struct {
		Notification harmonyNotification `json:"notification"`
	} `json:"payload"`
	Target struct {
		Token []string `json:"token"`
	} `json:"target"`
	Options harmonyOptions `json:"pushOptions"`
}

type harmonyNotification struct {
	Category     string        `json:"category"`
	Title        string        `json:"title"`
	Body         string        `json:"body"`
	Image        string        `json:"image,omitempty"`
	ClickAction  harmonyClick  `json:"clickAction"`
	Badge        *harmonyBadge `json:"badge,omitempty"`
	NotifyID     *uint32       `json:"notifyId,omitempty"`
	AppMessageID string        `json:"appMessageId"`
	Sound        string        `json:"sound,omitempty"`
}

type harmonyClick struct {
	Type   int               `json:"actionType"` // 0 = the app, 1 = the page of action
	Action string            `json:"action,omitempty"`
	Data   map[string]string `json:"data,omitempty"`
}

type harmonyBadge struct {
	Add *int `json:"addNum,omitempty"`
	Set *int `json:"setNum,omitempty"`
}

type harmonyOptions struct {
	Test      bool   `json:"testMessage,omitempty"`
	TTL       int    `json:"ttl"` // seconds
	BiTag     string `json:"biTag"`
	ReceiptID string `json:"receiptId,omitempty"`
}

// Bounds of a call's life (push-scenariozed-api-request-param, pushOptions.ttl).
const minCallSeconds, maxCallSeconds = 30, 60

// writeHarmony maps for POST /v3/{project}/messages:send. The push id is the
// appMessageId: the phone shows it once within a day, so a repeat does no harm.
func writeHarmony(p *parsed, n *vendors.Notification, title, body string, tokens []string, now time.Time) []byte {
	var b harmonyBody
	b.Target.Token = tokens
	b.Options = harmonyOptions{p.TestMessages || n.Override.Test, seconds(n, now), n.PushID, cmp.Or(n.Override.ReceiptID, p.ReceiptID)}
	b.Payload.Notification = harmonyNotification{
		Category: p.categoryOf(n), Title: title, Body: body, Image: n.ImageURL,
		ClickAction: harmonyClick{Data: n.Data}, AppMessageID: n.PushID, Sound: n.Sound,
	}
	m := &b.Payload.Notification
	if m.Category == "VOIP" {
		b.Options.TTL = min(max(b.Options.TTL, minCallSeconds), maxCallSeconds)
	}
	if m.Sound == "default" {
		m.Sound = "" // which is the system's
	}
	if action := cmp.Or(n.Override.ClickAction, p.ClickAction); action != "" {
		m.ClickAction.Type, m.ClickAction.Action = 1, action
	}
	if add, set := p.badgeOf(n); add != nil || set != nil {
		m.Badge = &harmonyBadge{add, set}
	}
	switch id := n.Override.NotifyID; {
	case id != 0:
		m.NotifyID = &id
	case n.CollapseID != "":
		id = notifyID(n.CollapseID)
		m.NotifyID = &id
	}
	return courier.JSON(b)
}

// notifyID hashes a collapse id to 0..2147483647: equal ids replace each other.
func notifyID(collapseID string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(collapseID))
	return h.Sum32() & (1<<31 - 1)
}
