package oppo

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/cut"
)

// Limits in code points (OPPO PUSH server API, "Notification message").
const (
	maxTitle      = 50
	maxSubtitle   = 10
	maxShort      = 50  // content in the standard style
	maxLong       = 128 // content in the long-text style
	maxParameters = 4000
	maxTTL        = 10 * 24 * time.Hour
)

// Styles, targets and click actions of the API.
const (
	styleStandard = 1
	styleLong     = 2

	targetRegistration = 2

	clickLaunch   = 0
	clickActivity = 4

	badgeSet = 0
)

// Codes of our own, for pushes that OPPO is not asked about.
const (
	codeNoText   = "rouse:NO_TEXT"
	codeChannel  = "rouse:CHANNEL_UNSUPPORTED"
	codeDataSize = "rouse:DATA_TOO_BIG"
)

// publicCategories are those of content and marketing; all others are of
// communication and service (OPPO PUSH, "New message classification", 2024-11).
var publicCategories = []string{"NEWS", "CONTENT", "MARKETING", "SOCIAL"}

// privateCategories are those of communication and service.
var privateCategories = []string{"IM", "ACCOUNT", "TO" + "DO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"}

func private(category string) bool {
	return category != "" && !slices.Contains(publicCategories, category)
}

// message is the API's message object: one target, one notification.
type message struct {
	TargetType   int             `json:"target_type"`
	TargetValue  string          `json:"target_value"`
	Verify       bool            `json:"verify_registration_id"`
	Notification json.RawMessage `json:"notification"`
}

// address makes the message to token. The device drops it when its
// registration id has changed, which keeps one user's texts from the next
// user of the device.
func address(token string, notification json.RawMessage) message {
	return message{TargetType: targetRegistration, TargetValue: token, Verify: true, Notification: notification}
}

// notification is the API's notification object, as far as it is used here.
type notification struct {
	AppMessageID string `json:"app_message_id"`
	Style        int    `json:"style"`
	Title        string `json:"title"`
	SubTitle     string `json:"sub_title,omitempty"`
	Content      string `json:"content"`

	ClickType     int    `json:"click_action_type"`
	ClickActivity string `json:"click_action_activity,omitempty"`
	Parameters    string `json:"action_parameters,omitempty"` // JSON text

	OffLine    bool `json:"off_line"`
	OffLineTTL int  `json:"off_line_ttl,omitempty"` // seconds

	ChannelID   string `json:"channel_id,omitempty"`
	Category    string `json:"category,omitempty"`
	NotifyLevel int    `json:"notify_level,omitempty"`

	TemplateID        string `json:"private_msg_template_id,omitempty"`
	TitleParameters   any    `json:"private_title_parameters,omitempty"`
	ContentParameters any    `json:"private_content_parameters,omitempty"`

	NotifyID   uint32 `json:"notify_id,omitempty"`
	BadgeType  *int   `json:"badge_operation_type,omitempty"`
	BadgeCount *int   `json:"badge_message_count,omitempty"`

	CallbackURL       string `json:"call_back_url,omitempty"`
	CallbackParameter string `json:"call_back_parameter,omitempty"`
}

// style is what the credential says about messages.
type style struct {
	channel                          string
	category, system, marketing      string
	level                            int
	activity                         string
	template, titleName, contentName string
	objects                          bool
	receiptURL                       string
}

// compose maps a push to the JSON of a notification; the second result is the
// reason why OPPO cannot show it, empty when it can.
func (s *style) compose(n *vendors.Notification, now time.Time) (json.RawMessage, string) {
	if n.Channel != vendors.ChannelAlert {
		return nil, codeChannel
	}
	out := notification{
		AppMessageID: n.PushID,
		ChannelID:    s.channel,
		Category:     s.categoryOf(n.Class),
		SubTitle:     fit(n.Subtitle, maxSubtitle),
		ClickType:    clickLaunch,
		NotifyID:     vendors.NotifyID(n.CollapseID),
	}
	if !out.write(n.Title, n.Body) {
		return nil, codeNoText
	}
	if !out.carry(n.Data) {
		return nil, codeDataSize
	}
	if named(n.Category) {
		out.Category = n.Category
	} else if n.Category != "" {
		out.ChannelID = n.Category
	}
	out.Category = cmp.Or(n.Override.Category, out.Category)
	out.ChannelID = cmp.Or(n.Override.ChannelID, out.ChannelID)
	switch { // a level needs a category
	case n.Override.NotifyLevel != 0 && out.Category != "":
		out.NotifyLevel = n.Override.NotifyLevel
	case s.level != 0 && urgent(n.Class) && private(out.Category):
		out.NotifyLevel = s.level
	}
	if activity := cmp.Or(n.Override.ClickAction, s.activity); activity != "" {
		out.ClickType, out.ClickActivity = clickActivity, activity
	}
	if ttl := min(n.Expires.Sub(now), maxTTL); ttl >= time.Second {
		out.OffLine, out.OffLineTTL = true, int(ttl/time.Second)
	}
	if n.Badge >= 0 {
		set, count := badgeSet, n.Badge // OPPO shows "99+" beyond 99
		out.BadgeType, out.BadgeCount = &set, &count
	}
	if s.receiptURL != "" {
		out.CallbackURL, out.CallbackParameter = s.receiptURL, n.PushID
	}
	if s.template != "" && out.Category == s.category {
		s.fill(&out)
	}
	return courier.JSON(out), ""
}

// urgent classes use the category and the level of chat messages.
func urgent(c vendors.Class) bool { return c != vendors.ClassSystem && c != vendors.ClassMarketing }

func (s *style) categoryOf(c vendors.Class) string {
	switch c {
	case vendors.ClassSystem:
		return s.system
	case vendors.ClassMarketing:
		return s.marketing
	default:
		return s.category
	}
}

// named tells a category of OPPO's from a channel of the app's.
func named(category string) bool {
	return slices.Contains(privateCategories, category) || slices.Contains(publicCategories, category)
}

// write sets title and content. OPPO wants both: the one that is missing gets
// the other's text. The long-text style is for what the standard one cannot hold.
func (out *notification) write(title, body string) bool {
	if cut.Blank(title) {
		title = body
	}
	if cut.Blank(body) {
		body = title
	}
	if cut.Blank(title) {
		return false
	}
	out.Style, out.Title, out.Content = styleStandard, fit(title, maxTitle), fit(body, maxLong)
	if utf8.RuneCountInString(out.Content) > maxShort {
		out.Style = styleLong
	}
	return true
}

// fit counts as OPPO does: "Chinese and English characters and emoji each count as one".
func fit(text string, most int) string {
	return cut.Text(text, cut.Limit{In: cut.Runes, Most: most})
}

// carry sets the data that a click hands to the app.
func (out *notification) carry(data map[string]string) bool {
	if len(data) > 0 {
		out.Parameters = string(courier.JSON(data))
	}
	return utf8.RuneCountInString(out.Parameters) <= maxParameters
}

// fill names the template and its variables.
func (s *style) fill(out *notification) {
	out.TemplateID = s.template
	variable := func(name, value string) any {
		if name == "" {
			return nil
		}
		object := map[string]string{name: value}
		if s.objects {
			return object
		}
		return string(courier.JSON(object))
	}
	out.TitleParameters = variable(s.titleName, out.Title)
	out.ContentParameters = variable(s.contentName, out.Content)
}
