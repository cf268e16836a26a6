package vivo

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

// Limits (vivo PUSH-UPS-API, "Single push", 2025). Texts are in characters as
// the ruler of style counts them, the custom map in code points of keys and values.
const (
	maxTitle       = 40
	maxContent     = 100
	maxCustom      = 1024
	maxCustomPairs = 10
	minTTL         = time.Minute
	maxTTL         = 24 * time.Hour
)

// Values of the API.
const (
	notifySilent   = 1
	notifyRing     = 4 // and vibrate
	skipHome       = 1
	skipIntent     = 4
	messageSystem  = 1
	messageOperate = 0
)

// keyData holds the data as JSON when there are more than maxCustomPairs.
const keyData = "rouse_data"

// Codes of our own, for pushes that vivo is not asked about.
const (
	codeNoText   = "rouse:NO_TEXT"
	codeChannel  = "rouse:CHANNEL_UNSUPPORTED"
	codeDataSize = "rouse:DATA_TOO_BIG"
)

// Categories (vivo, "Message classification", 2023). All others than the
// operational ones are of system messages.
var (
	operationalCategories = []string{"NEWS", "CONTENT", "MARKETING", "SOCIAL"}
	systemCategories      = []string{"IM", "ACCOUNT", "TO" + "DO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"}
)

func operational(category string) bool { return slices.Contains(operationalCategories, category) }

// message is the API's message, with a target or to be saved for a list.
type message struct {
	AppID          json.Number       `json:"appId"`
	RegID          string            `json:"regId,omitempty"`
	NotifyType     int               `json:"notifyType"`
	Title          string            `json:"title"`
	Content        string            `json:"content"`
	TimeToLive     int               `json:"timeToLive"` // seconds
	SkipType       int               `json:"skipType"`
	SkipContent    string            `json:"skipContent,omitempty"`
	NetworkType    int               `json:"networkType"`
	Classification int               `json:"classification"`
	Category       string            `json:"category,omitempty"`
	Custom         map[string]string `json:"clientCustomMap,omitempty"`
	RequestID      string            `json:"requestId"`
	PushMode       int               `json:"pushMode"`
	NotifyID       uint32            `json:"notifyId,omitempty"`
	AddBadge       bool              `json:"addBadge,omitempty"`
	SendOnline     bool              `json:"sendOnline,omitempty"`
	Extra          *extra            `json:"extra,omitempty"`
}

// extra asks for receipts; ID names an address of the console. Param has a
// bound of 64 bytes (192 in newer documents).
type extra struct {
	Address string `json:"callback,omitempty"`
	ID      string `json:"callback.id,omitempty"`
	Param   string `json:"callback.param"`
}

// style is what the credential says about messages.
type style struct {
	app                         json.Number
	category, system, marketing string
	operational                 bool
	intent                      string
	addBadge                    bool
	ruler                       cut.Ruler
	pushMode                    int
	receipts                    extra
}

// compose maps a push to a message without a target; the second result is the
// reason why vivo cannot show it, empty when it can.
func (s *style) compose(n *vendors.Notification, now time.Time) (message, string) {
	if n.Channel != vendors.ChannelAlert {
		return message{}, codeChannel
	}
	m := message{
		AppID:      s.app,
		NotifyType: notifySilent, SkipType: skipHome, NetworkType: -1,
		RequestID: n.PushID, PushMode: s.pushMode,
		NotifyID: vendors.NotifyID(n.CollapseID),
		AddBadge: s.addBadge && n.Badge > 0,
	}
	if asked := s.receipts; asked != (extra{}) {
		asked.Param = n.PushID
		m.Extra = &asked
	}
	if n.Sound != "" {
		m.NotifyType = notifyRing
	}
	if intent := cmp.Or(n.Override.ClickAction, s.intent); intent != "" {
		m.SkipType, m.SkipContent = skipIntent, intent
	}
	if !m.write(n.Title, n.Body, s.ruler) {
		return m, codeNoText
	}
	if !m.carry(n.Data) {
		return m, codeDataSize
	}
	m.keep(n.Expires.Sub(now))
	m.Category, m.Classification = s.classify(n)
	return m, ""
}

// classify chooses category and classification, which must agree (10097).
func (s *style) classify(n *vendors.Notification) (string, int) {
	category := s.categoryOf(n.Class)
	switch {
	case n.Override.Category != "":
		category = n.Override.Category
	case operational(n.Category):
		category = n.Category
	case s.operational:
		category = s.marketing
	case slices.Contains(systemCategories, n.Category):
		category = n.Category
	}
	if operational(category) || category == "" && (s.operational || n.Class == vendors.ClassMarketing) {
		return category, messageOperate
	}
	return category, messageSystem
}

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

// blames tells whether an answer about the category is about the credential.
func (s *style) blames(n *vendors.Notification) bool {
	return n.Category == "" && n.Override.Category == "" && n.Class != vendors.ClassSystem && n.Class != vendors.ClassMarketing
}

// write sets title and content. vivo wants both: the one that is missing gets
// the other's text.
func (m *message) write(title, body string, r cut.Ruler) bool {
	if cut.Blank(title) {
		title = body
	}
	if cut.Blank(body) {
		body = title
	}
	m.Title, m.Content = cut.Text(title, cut.Limit{In: r, Most: maxTitle}), cut.Text(body, cut.Limit{In: r, Most: maxContent})
	return !cut.Blank(title)
}

// carry sets the data that the app's SDK hands over.
func (m *message) carry(data map[string]string) bool {
	m.Custom = data
	if len(data) > maxCustomPairs {
		m.Custom = map[string]string{keyData: string(courier.JSON(data))}
	}
	size := 0
	for key, value := range m.Custom {
		size += utf8.RuneCountInString(key) + utf8.RuneCountInString(value)
	}
	return size <= maxCustom
}

// keep: vivo keeps a message a minute at least, so what is wanted for less goes
// only to a device that is online.
func (m *message) keep(left time.Duration) {
	m.SendOnline = left < minTTL
	m.TimeToLive = int(min(max(left, minTTL), maxTTL) / time.Second)
}
