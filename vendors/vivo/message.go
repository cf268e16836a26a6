package vivo

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rouse-im/rouse/vendors"
)

// Limits (vivo PUSH-UPS-API, "Single push", 2025). Texts are in characters as
// ruler counts them, the custom map in code points of keys and values.
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
	ruler                       ruler
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
		NotifyID: notifyID(n.CollapseID),
		AddBadge: s.addBadge && n.Badge > 0,
	}
	if asked := s.receipts; asked != (extra{}) {
		asked.Param = n.PushID
		m.Extra = &asked
	}
	if n.Sound != "" {
		m.NotifyType = notifyRing
	}
	if s.intent != "" {
		m.SkipType, m.SkipContent = skipIntent, s.intent
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
	return n.Category == "" && n.Class != vendors.ClassSystem && n.Class != vendors.ClassMarketing
}

// write sets title and content. vivo wants both: the one that is missing gets
// the other's text.
func (m *message) write(title, body string, r ruler) bool {
	if blank(title) {
		title = body
	}
	if blank(body) {
		body = title
	}
	m.Title, m.Content = r.cut(title, maxTitle), r.cut(body, maxContent)
	return !blank(title)
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// carry sets the data that the app's SDK hands over.
func (m *message) carry(data map[string]string) bool {
	m.Custom = data
	if len(data) > maxCustomPairs {
		m.Custom = map[string]string{keyData: string(encode(data))}
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

// notifyID is 1..2^31-1 for a collapse id, by which the device replaces what
// it shows; 0 for none.
func notifyID(collapse string) uint32 {
	if collapse == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(collapse))
	sum := h.Sum64()
	return max(uint32(sum>>32^sum)&(1<<31-1), 1)
}

// encode is JSON that leaves <, > and & alone: vivo counts characters.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings, numbers and maps of strings always encode
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
