package huawei

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

const (
	// maxPayload bounds a body in bytes without the tokens (Result codes, 80300008).
	maxPayload = 4096
	// maxTTL is the longest that Huawei keeps a push (android.ttl, pushOptions.ttl).
	maxTTL = 1_296_000 * time.Second
	// maxBadge bounds set_num and setNum.
	maxBadge = 99
	// noText stands for an empty body or title, which Huawei refuses.
	noText = " "
)

// categories are Huawei's, of notifications (message.android.category,
// payload.notification.category).
var categories = []string{
	"IM", "VOIP", "MISS_CALL", "SUBSCRIPTION", "TRAVEL", "HEALTH", "WORK", "ACCOUNT", "EXPRESS",
	"FINANCE", "DEVICE_REMINDER", "MAIL", "MARKETING",
}

// writer maps a push with these texts to a body for tokens.
type writer func(p *parsed, n *vendors.Notification, title, body string, tokens []string, now time.Time) []byte

// fit writes a body within maxPayload: it cuts the notification's body, then
// its title, no more than needed. It fails when the rest alone is too big.
func (p *parsed) fit(w writer, n *vendors.Notification, tokens []string, now time.Time) ([]byte, bool) {
	left := maxPayload - len(w(p, n, noText, noText, []string{}, now))
	if left < 0 {
		return nil, false
	}
	title := cut(n.Title, left+len(noText))
	left -= room(orNoText(title)) - len(noText)
	body := cut(n.Body, left+len(noText))
	return w(p, n, orNoText(title), orNoText(body), tokens, now), true
}

func orNoText(text string) string {
	if text == "" {
		return noText
	}
	return text
}

// categoryOf prefers the push's own, which is Huawei's word in any case; other
// words are no category.
func (p *parsed) categoryOf(n *vendors.Notification) string {
	if own := strings.ToUpper(n.Category); slices.Contains(categories, own) {
		return own
	}
	switch n.Class {
	case vendors.ClassCall:
		return p.CallCategory
	case vendors.ClassSystem:
		return p.SystemCategory
	case vendors.ClassMarketing:
		return p.MarketingCategory
	default:
		return p.IMCategory
	}
}

// channelOf takes a category that is not Huawei's as the app's channel.
func (p *parsed) channelOf(n *vendors.Notification) string {
	if n.Category != "" && !slices.Contains(categories, strings.ToUpper(n.Category)) {
		return n.Category
	}
	return p.ChannelID
}

// seconds is the life that is left.
func seconds(n *vendors.Notification, now time.Time) int {
	return int(min(max(n.Expires.Sub(now), 0), maxTTL) / time.Second)
}

// badgeOf gives what to add and what to set, at most one of them. Pointers: a
// set of 0 clears the number and must be written.
func (p *parsed) badgeOf(n *vendors.Notification) (add, set *int) {
	if n.Badge < 0 {
		return nil, nil
	}
	switch p.Badge {
	case BadgeSet:
		number := min(n.Badge, maxBadge)
		return nil, &number
	case BadgeAdd:
		one := 1
		return &one, nil
	default:
		return nil, nil
	}
}

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
		Category: p.categoryOf(n), TTL: strconv.Itoa(seconds(n, now)) + "s", BiTag: n.PushID, ReceiptID: p.ReceiptID,
		Notification: hmsNotification{
			ClickAction: hmsClick{Type: 3}, ChannelID: p.channelOf(n), Importance: "NORMAL",
			Tag: n.CollapseID, Group: n.ThreadID,
		},
	}
	if n.Class == vendors.ClassMarketing {
		a.Notification.Importance = "LOW"
	}
	if p.TestMessages {
		a.TestUser = 1
	}
	if p.ClickAction != "" || p.ClickIntent != "" {
		a.Notification.ClickAction = hmsClick{1, p.ClickIntent, p.ClickAction}
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
		m.Data = string(encode(n.Data))
	}
	return encode(hmsBody{m})
}

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
	b.Options = harmonyOptions{p.TestMessages, seconds(n, now), n.PushID, p.ReceiptID}
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
	if p.ClickAction != "" {
		m.ClickAction.Type, m.ClickAction.Action = 1, p.ClickAction
	}
	if add, set := p.badgeOf(n); add != nil || set != nil {
		m.Badge = &harmonyBadge{add, set}
	}
	if n.CollapseID != "" {
		id := notifyID(n.CollapseID)
		m.NotifyID = &id
	}
	return encode(b)
}

// notifyID hashes a collapse id to 0..2147483647: equal ids replace each other.
func notifyID(collapseID string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(collapseID))
	return h.Sum32() & (1<<31 - 1)
}
