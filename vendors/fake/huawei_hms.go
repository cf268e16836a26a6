package fake

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hmsRequest is the body of POST /v1/{app}/messages:send.
type hmsRequest struct {
	ValidateOnly bool `json:"validate_only"`
	Message      struct {
		Data         string           `json:"data"`
		Notification *hmsText         `json:"notification"`
		Android      *hmsAndroid      `json:"android"`
		Token        []string         `json:"token"`
		Topic        string           `json:"topic"`
		Condition    string           `json:"condition"`
		APNS         *json.RawMessage `json:"apns"`
		Webpush      *json.RawMessage `json:"webpush"`
	} `json:"message"`
}

type hmsText struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Image string `json:"image"`
}

type hmsAndroid struct {
	CollapseKey  *int             `json:"collapse_key"`
	Urgency      string           `json:"urgency"`
	Category     string           `json:"category"`
	TTL          string           `json:"ttl"`
	BiTag        string           `json:"bi_tag"`
	ReceiptID    string           `json:"receipt_id"`
	TestUser     int              `json:"target_user_type"`
	Data         string           `json:"data"`
	Notification *hmsNotification `json:"notification"`
}

type hmsNotification struct {
	hmsText
	ClickAction *struct {
		Type                int
		Intent, Action, URL string
	} `json:"click_action"`
	ChannelID    string       `json:"channel_id"`
	Importance   string       `json:"importance"`
	Badge        *HuaweiBadge `json:"badge"`
	NotifyID     *int         `json:"notify_id"`
	Tag          string       `json:"tag"`
	Group        string       `json:"group"`
	Foreground   *bool        `json:"foreground_show"`
	AutoCancel   *bool        `json:"auto_cancel"`
	When         string       `json:"when"`
	Icon         string       `json:"icon"`
	Color        string       `json:"color"`
	Sound        string       `json:"sound"`
	DefaultSound bool         `json:"default_sound"`
	Visibility   string       `json:"visibility"`
	Style        int          `json:"style"`
	ProfileID    string       `json:"profile_id"`
}

// HuaweiBadge is the badge of both services, in either spelling.
type HuaweiBadge struct {
	Add, Set *int
	Class    string
}

// UnmarshalJSON takes addNum and add_num alike.
func (b *HuaweiBadge) UnmarshalJSON(raw []byte) error {
	var both struct {
		AddNum, SetNum *int
		SnakeAdd       *int `json:"add_num"`
		SnakeSet       *int `json:"set_num"`
		Class          string
	}
	if err := json.Unmarshal(raw, &both); err != nil {
		return err
	}
	*b = HuaweiBadge{both.AddNum, both.SetNum, both.Class}
	if both.SnakeAdd != nil {
		b.Add = both.SnakeAdd
	}
	if both.SnakeSet != nil {
		b.Set = both.SnakeSet
	}
	return nil
}

// valid: add 1..99, set 0..99.
func (b *HuaweiBadge) valid() bool {
	return b == nil || (b.Add == nil || *b.Add >= 1 && *b.Add <= 99) && (b.Set == nil || *b.Set >= 0 && *b.Set <= 99)
}

// Limits of both services.
const (
	huaweiMaxBytes  = 4096
	huaweiMaxTokens = 1000
	huaweiMaxTTL    = 1_296_000 // seconds
	huaweiTTL       = 86_400
)

var (
	huaweiCategories = strings.Fields("IM VOIP SUBSCRIPTION TRAVEL HEALTH WORK ACCOUNT EXPRESS FINANCE DEVICE_REMINDER MAIL MARKETING")
	hmsTTL           = regexp.MustCompile(`^[0-9]{1,9}s?$`)
)

// huaweiDecode is strict about names. Huawei ignores what it does not know,
// and so would hide a misspelt field.
func huaweiDecode(r *http.Request, body []byte, v any) *huaweiAnswer {
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); media != "application/json" {
		return huaweiRefusal("80100003", "Content-Type is not application/json")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return huaweiRefusal("80100003", "Illegal payload: "+err.Error())
	}
	return nil
}

// huaweiCheckSize counts the body without the tokens.
func huaweiCheckSize(body []byte, tokens []string) (int, *huaweiAnswer) {
	size := len(body)
	for _, token := range tokens {
		size -= len(strconv.Quote(token)) + len(",")
	}
	if len(tokens) > 0 {
		size++ // the first has no comma
	}
	if size > huaweiMaxBytes {
		return size, huaweiRefusal("80300008", "The message body is too long")
	}
	if len(tokens) == 0 || len(tokens) > huaweiMaxTokens {
		return size, huaweiRefusal("80300010", "The number of tokens is not 1 to 1000")
	}
	return size, nil
}

func parseHMS(r *http.Request, body []byte, o *HuaweiOptions) (m huaweiMessage, refusal *huaweiAnswer) {
	var q hmsRequest
	if refusal = huaweiDecode(r, body, &q); refusal != nil {
		return m, refusal
	}
	m.tokens = q.Message.Token
	m.push = HuaweiPush{API: "hms", Raw: body}
	if m.push.Bytes, refusal = huaweiCheckSize(body, m.tokens); refusal != nil {
		return m, refusal
	}
	a := q.Message.Android
	if q.Message.Topic != "" || q.Message.Condition != "" || a == nil || a.Notification == nil || a.Notification.ClickAction == nil {
		return m, huaweiRefusal("80100003", "Want tokens only, android.notification and click_action")
	}
	if refusal = checkHMS(a, o); refusal != nil {
		return m, refusal
	}
	text := a.Notification.hmsText
	if n := q.Message.Notification; n != nil {
		text.Title, text.Body, text.Image = hmsEither(text.Title, n.Title), hmsEither(text.Body, n.Body), hmsEither(text.Image, n.Image)
	}
	if text.Title == "" || text.Body == "" {
		return m, huaweiRefusal("80100003", "Title and body must not be empty")
	}
	if q.Message.Data != "" && json.Unmarshal([]byte(q.Message.Data), &m.push.Data) != nil {
		return m, huaweiRefusal("80100003", "The data of a notification must be a JSON object")
	}
	seconds := huaweiTTL
	if a.TTL != "" {
		seconds, _ = strconv.Atoi(strings.TrimSuffix(a.TTL, "s"))
	}
	m.ttl = time.Duration(seconds) * time.Second
	m.push.describe(text, a)
	return m, nil
}

func hmsEither(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (p *HuaweiPush) describe(text hmsText, a *hmsAndroid) {
	n := a.Notification
	p.Title, p.Body, p.Image = text.Title, text.Body, text.Image
	p.PushID, p.ReceiptID, p.Category, p.Channel, p.Importance = a.BiTag, a.ReceiptID, a.Category, n.ChannelID, n.Importance
	p.Tag, p.Group, p.Sound, p.NotifyID, p.Badge = n.Tag, n.Group, n.Sound, n.NotifyID, n.Badge
	if n.DefaultSound {
		p.Sound = "default"
	}
}

func checkHMS(a *hmsAndroid, o *HuaweiOptions) *huaweiAnswer {
	n, click := a.Notification, a.Notification.ClickAction
	switch {
	case a.TTL != "" && !hmsTTL.MatchString(a.TTL):
		return huaweiRefusal("80100001", "ttl")
	case a.CollapseKey != nil && (*a.CollapseKey < -1 || *a.CollapseKey > 100):
		return huaweiRefusal("80100013", "collapse_key")
	case a.Category != "" && !slices.Contains(huaweiCategories, a.Category):
		return huaweiRefusal("80100003", "category")
	case !slices.Contains([]string{"", "LOW", "NORMAL", "HIGH"}, n.Importance):
		return huaweiRefusal("80100003", "importance")
	case n.Importance == "HIGH" && !o.HighImportance:
		return huaweiRefusal("80300011", "No permission to send messages of importance HIGH")
	case click.Type < 1 || click.Type > 3, click.Type == 1 && click.Intent == "" && click.Action == "",
		click.Type == 2 && !strings.HasPrefix(click.URL, "https://"):
		return huaweiRefusal("80100003", "click_action")
	case !n.Badge.valid(), n.Badge != nil && n.Badge.Class == "":
		return huaweiRefusal("80100003", "badge")
	case a.TestUser < 0 || a.TestUser > 1, len(n.ProfileID) > 64:
		return huaweiRefusal("80100003", "target_user_type or profile_id")
	}
	if seconds, err := strconv.Atoi(strings.TrimSuffix(a.TTL, "s")); err == nil && seconds > huaweiMaxTTL {
		return huaweiRefusal("80100001", "ttl")
	}
	return nil
}
