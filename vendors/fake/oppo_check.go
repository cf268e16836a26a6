package fake

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// oppoMaxBatch is the most messages of one unicast_batch.
const oppoMaxBatch = 1000

// oppoRegistration is the form of a registration id in OPPO's own SDK.
var oppoRegistration = regexp.MustCompile(`^(([0-9A-Za-z]{2,10}_)?([A-Z]{2}|EUEX)_)?[0-9a-fA-F]{32}$`)

// oppoMessage is the message object.
type oppoMessage struct {
	Type         int              `json:"target_type"`
	Value        string           `json:"target_value"`
	Verify       bool             `json:"verify_registration_id"`
	Notification oppoNotification `json:"notification"`
}

type oppoNotification struct {
	ID        string `json:"app_message_id"`
	Style     int    `json:"style"`
	Title     string `json:"title"`
	SubTitle  string `json:"sub_title"`
	Content   string `json:"content"`
	Click     int    `json:"click_action_type"`
	Activity  string `json:"click_action_activity"`
	URL       string `json:"click_action_url"`
	Action    string `json:"action_parameters"`
	OffLine   *bool  `json:"off_line"`
	TTL       int    `json:"off_line_ttl"`
	Channel   string `json:"channel_id"`
	Category  string `json:"category"`
	Level     int    `json:"notify_level"`
	Template  string `json:"private_msg_template_id"`
	NotifyID  int    `json:"notify_id"`
	BadgeType *int   `json:"badge_operation_type"`
	Badge     *int   `json:"badge_message_count"`

	Callback      string `json:"call_back_url"`
	CallbackParam string `json:"call_back_parameter"`

	raw        json.RawMessage
	parameters map[string]string
}

// UnmarshalJSON keeps the object as it came.
func (n *oppoNotification) UnmarshalJSON(raw []byte) error {
	type plain oppoNotification
	if err := json.Unmarshal(raw, (*plain)(n)); err != nil {
		return err
	}
	n.raw = slices.Clone(raw)
	return nil
}

func readOPPOSingle(form url.Values) ([]oppoMessage, *oppoAnswer) {
	text := form.Get("message")
	if text == "" {
		return nil, &oppoAnswer{Code: 40, Message: "message missing"}
	}
	var m oppoMessage
	if json.Unmarshal([]byte(text), &m) != nil {
		return nil, &oppoAnswer{Code: 41, Message: "message invalid"}
	}
	return []oppoMessage{m}, nil
}

func readOPPOBatch(form url.Values) ([]oppoMessage, *oppoAnswer) {
	text := form.Get("messages")
	if text == "" {
		return nil, &oppoAnswer{Code: 40, Message: "messages missing"}
	}
	var all []oppoMessage
	if json.Unmarshal([]byte(text), &all) != nil || len(all) == 0 || len(all) > oppoMaxBatch {
		return nil, &oppoAnswer{Code: 41, Message: "messages invalid"}
	}
	return all, nil
}

// check refuses what OPPO refuses, the form before the rights.
func (m *oppoMessage) check(app OPPOApp) *oppoAnswer {
	n := &m.Notification
	missing, invalid := m.faults()
	switch {
	case missing != "":
		return &oppoAnswer{Code: 40, Message: missing + " missing"}
	case invalid != "":
		return &oppoAnswer{Code: 41, Message: invalid + " invalid"}
	case !oppoRegistration.MatchString(m.Value):
		return &oppoAnswer{Code: 10000, Message: "registration_id格式不正确"}
	case n.Category != "" && !m.private() && !m.public(),
		n.Level != 0 && !m.private(), n.Level == 16 && !app.Loud:
		return &oppoAnswer{Code: 67, Message: "category or notify_level not allowed"}
	case m.private() && app.Template != "" && n.Template != app.Template:
		return &oppoAnswer{Code: 54, Message: "private_msg_template_id is null"}
	}
	return nil
}

func (m *oppoMessage) private() bool {
	return slices.Contains([]string{"IM", "ACCOUNT", "TO" + "DO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"}, m.Notification.Category)
}

func (m *oppoMessage) public() bool {
	return slices.Contains([]string{"NEWS", "CONTENT", "MARKETING", "SOCIAL"}, m.Notification.Category)
}

// faults names the first field that is missing or invalid.
func (m *oppoMessage) faults() (missing, invalid string) {
	n := &m.Notification
	for _, field := range []struct{ name, value string }{
		{"target_value", m.Value}, {"title", n.Title}, {"content", n.Content},
	} {
		if field.value == "" {
			return field.name, ""
		}
	}
	content, known := map[int]int{0: 50, 1: 50, 2: 128}[n.Style] // style 3 is for broadcasts
	if !known {
		return "", "style"
	}
	for _, field := range []struct {
		name, value string
		most        int
	}{
		{"title", n.Title, 50},
		{"sub_title", n.SubTitle, 10},
		{"content", n.Content, content},
		{"click_action_activity", n.Activity, 500},
		{"click_action_url", n.URL, 2000},
		{"action_parameters", n.Action, 4000},
		{"call_back_url", n.Callback, 200},
		{"call_back_parameter", n.CallbackParam, 100},
	} {
		if utf8.RuneCountInString(field.value) > field.most {
			return "", field.name
		}
	}
	if n.Action != "" && json.Unmarshal([]byte(n.Action), &n.parameters) != nil {
		return "", "action_parameters"
	}
	for _, field := range []struct {
		name string
		ok   bool
	}{
		{"target_type", m.Type == 2},
		{"click_action_type", slices.Contains([]int{0, 1, 2, 4, 5}, n.Click)},
		{"click_action_activity", n.Click != 1 && n.Click != 4 || n.Activity != ""},
		{"click_action_url", n.Click != 2 && n.Click != 5 || n.URL != ""},
		{"notify_level", slices.Contains([]int{0, 1, 2, 16}, n.Level)},
		{"off_line_ttl", n.TTL >= 0},
		{"notify_id", n.NotifyID >= 0 && n.NotifyID < 1<<31},
		{"badge_operation_type", n.BadgeType == nil || *n.BadgeType == 0 && n.Badge != nil && *n.Badge >= 0 || *n.BadgeType == 1 && n.Badge == nil},
	} {
		if !field.ok {
			return "", field.name
		}
	}
	return "", ""
}

// push is the message as its device gets it.
func (m *oppoMessage) push(now time.Time) OPPOPush {
	n := &m.Notification
	p := OPPOPush{
		Token: m.Value, PushID: n.ID, MessageID: n.parameters["m"], At: now,
		Title: n.Title, SubTitle: n.SubTitle, Content: n.Content,
		ChannelID: n.Channel, Category: n.Category, NotifyLevel: n.Level, NotifyID: n.NotifyID,
		Badge: n.Badge, Parameters: n.parameters, Raw: n.raw,
	}
	if n.OffLine == nil || *n.OffLine {
		ttl := 3600
		if n.TTL != 0 {
			ttl = min(n.TTL, 864_000)
		}
		p.Expires = now.Add(time.Duration(ttl) * time.Second)
	}
	return p
}
