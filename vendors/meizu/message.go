package meizu

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/cut"
)

// keyPush is the parameters' key of the push id.
const keyPush = "rouse_push_id"

// Limits (PushAPI README, "messageJson"): title 1..32 characters, content
// 1..100, validTime 1..72 hours. No limit of the parameters is documented;
// this is the one that data messages had.
const (
	maxTitle      = 32
	maxContent    = 100
	maxParameters = 2000 // bytes of JSON
	maxHours      = 72
)

// Values of noticeMsgType (README of 2025-03-30). The vendor's default is
// public, which has a daily quota.
const (
	msgPublic  = 0
	msgPrivate = 1
)

// Values of clickType.
const (
	clickApp      = 0
	clickActivity = 1
)

// message is messageJson. Its fields are in the README's order.
type message struct {
	Bar     bar     `json:"noticeBarInfo"`
	Click   click   `json:"clickTypeInfo"`
	Keep    keep    `json:"pushTimeInfo"`
	Advance advance `json:"advanceInfo"`
	Extra   *extra  `json:"extra,omitempty"`
}

// extra asks for receipts. Param has a bound of 64 bytes.
type extra struct {
	Address string `json:"callback"`
	Param   string `json:"callback.param"`
	Types   int    `json:"callback.type"`
}

type bar struct {
	MsgType int    `json:"noticeMsgType"`
	Title   string `json:"title"`
	Content string `json:"content"`
}

type click struct {
	Type       int             `json:"clickType"`
	Activity   string          `json:"activity,omitempty"`
	Parameters json.RawMessage `json:"parameters"`
}

type keep struct {
	Offline int `json:"offLine"`             // 1: keep for a phone that is offline
	Hours   int `json:"validTime,omitempty"` // 1..72, with offLine 1
}

type advance struct {
	Type notificationType `json:"notificationType"`
	// Key: of one key only the newest notification stays.
	Key string `json:"notifyKey,omitempty"`
}

type notificationType struct {
	Vibrate int `json:"vibrate"`
	Lights  int `json:"lights"`
	Sound   int `json:"sound"`
}

// compose maps a push to its messageJson. The code is empty, or ours for a push
// that Meizu cannot carry.
func (c *Config) compose(n *vendors.Notification, now time.Time) (messageJSON, code string) {
	if n.Channel != vendors.ChannelAlert {
		return "", codeNoChannel
	}
	m := message{Bar: bar{MsgType: msgType(n)}, Keep: keepUntil(n.Expires, now)}
	m.Bar.Title, m.Bar.Content = fit(n.Title, maxTitle), fit(n.Body, maxContent)
	// Meizu wants both; the one stands in for the other.
	if cut.Blank(m.Bar.Title) {
		m.Bar.Title = fit(n.Body, maxTitle)
	}
	if cut.Blank(m.Bar.Content) {
		m.Bar.Content = m.Bar.Title
	}
	if cut.Blank(m.Bar.Title) {
		return "", codeNoText
	}
	data := make(map[string]string, len(n.Data)+1)
	maps.Copy(data, n.Data)
	data[keyPush] = n.PushID
	m.Click = click{Type: clickApp, Parameters: courier.JSON(data)}
	if len(m.Click.Parameters) > maxParameters {
		return "", codeTooBig
	}
	if activity := cmp.Or(n.Override.ClickAction, c.Activity); activity != "" {
		m.Click.Type, m.Click.Activity = clickActivity, activity
	}
	m.Advance = advance{Type: notificationType{Vibrate: 1, Lights: 1}, Key: notifyKey(n.CollapseID)}
	if n.Sound != "" {
		m.Advance.Type.Sound = 1
	}
	if c.ReceiptURL != "" {
		m.Extra = &extra{c.ReceiptURL, n.PushID, receiptDelivered + receiptClicked}
	}
	return string(courier.JSON(m)), ""
}

// msgType is private for all but marketing; the category "public" or "private"
// says otherwise.
func msgType(n *vendors.Notification) int {
	switch category := cmp.Or(n.Override.Category, n.Category); {
	case n.Override.Public, category == "public":
		return msgPublic
	case category == "private":
		return msgPrivate
	case n.Class == vendors.ClassMarketing:
		return msgPublic
	}
	return msgPrivate
}

// keepUntil counts whole hours, rounded up: less would lose a push that is
// still wanted.
func keepUntil(expires, now time.Time) keep {
	left := expires.Sub(now)
	if left <= 0 {
		return keep{Offline: 0}
	}
	if left > maxHours*time.Hour {
		left = maxHours * time.Hour
	}
	return keep{Offline: 1, Hours: int((left + time.Hour - 1) / time.Hour)}
}

// notifyKey is at most 8 characters of [0-9A-Za-z_-].
func notifyKey(collapse string) string {
	if collapse == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(collapse))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

func fit(text string, most int) string {
	return cut.Text(text, cut.Limit{In: cut.UTF16, Most: most})
}
