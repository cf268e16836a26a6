package fake

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// vivoMessage is the API's message.
type vivoMessage struct {
	AppID          int               `json:"appId"`
	RegID          string            `json:"regId"`
	NotifyType     int               `json:"notifyType"`
	Title          string            `json:"title"`
	Content        string            `json:"content"`
	TimeToLive     *int              `json:"timeToLive"`
	SkipType       int               `json:"skipType"`
	SkipContent    string            `json:"skipContent"`
	NetworkType    *int              `json:"networkType"`
	Classification int               `json:"classification"`
	Category       string            `json:"category"`
	Custom         map[string]string `json:"clientCustomMap"`
	RequestID      string            `json:"requestId"`
	PushMode       int               `json:"pushMode"`
	NotifyID       *int              `json:"notifyId"`
	AddBadge       bool              `json:"addBadge"`
	SendOnline     bool              `json:"sendOnline"`
	Extra          map[string]string `json:"extra"`

	raw []byte
}

// readVivo refuses names that the API does not have, which are mistakes.
func readVivo(body []byte, q *vivoRequest) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(q)
}

var (
	vivoSystem      = []string{"IM", "ACCOUNT", "TO" + "DO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"}
	vivoOperational = []string{"NEWS", "CONTENT", "MARKETING", "SOCIAL"}

	// vivoTest matches formal texts that look like tests.
	vivoTest = regexp.MustCompile(`^[0-9]+$|测试|[{}\[\]]`)
)

// check returns a result code, 0 for a good message.
func (m *vivoMessage) check(app VivoApp, now time.Time) int {
	if code := m.fields(); code != 0 {
		return code
	}
	operational := m.Classification == 0
	switch hour := now.In(shanghai).Hour(); {
	case m.Category != "" && !slices.Contains(vivoSystem, m.Category) && !slices.Contains(vivoOperational, m.Category):
		return 10096
	case m.Category != "" && slices.Contains(vivoOperational, m.Category) != operational:
		return 10097
	case app.Review && m.PushMode == 0:
		return 10045
	case app.NoSystem && !operational:
		return 10082
	case m.PushMode == 0 && (vivoTest.MatchString(m.Title) || vivoTest.MatchString(m.Content)):
		return 10085
	case m.PushMode == 0 && operational && (hour < 7 || hour >= 23):
		return 10071
	}
	return 0
}

// fields checks each field by itself.
func (m *vivoMessage) fields() int {
	custom := 0
	for key, value := range m.Custom {
		custom += utf8.RuneCountInString(key) + utf8.RuneCountInString(value)
	}
	known := 0
	for _, key := range []string{"callback", "callback.id", "callback.param"} {
		if _, ok := m.Extra[key]; ok {
			known++
		}
	}
	for _, field := range []struct {
		code int
		ok   bool
	}{
		{10304, len(m.Extra) == known},
		{10305, len(m.Extra["callback"]) <= 128},
		{10306, len(m.Extra["callback.param"]) <= 64},
		{10054, m.NotifyType >= 1 && m.NotifyType <= 4},
		{10055, strings.TrimSpace(m.Title) != ""},
		{10056, utf8.RuneCountInString(m.Title) <= 40},
		{10057, strings.TrimSpace(m.Content) != ""},
		{10058, utf8.RuneCountInString(m.Content) <= 100},
		{10059, m.TimeToLive == nil || *m.TimeToLive >= 60},
		{10060, m.SkipType == 1 || (m.SkipType == 2 || m.SkipType == 4) && m.SkipContent != "" && len(m.SkipContent) <= 1024},
		{10065, m.NetworkType == nil || *m.NetworkType == -1 || *m.NetworkType == 1},
		{10067, custom <= 1024 && len(m.Custom) <= 10},
		{10095, m.NotifyID == nil || *m.NotifyID >= 1 && *m.NotifyID < 1<<31},
		{10051, m.Classification == 0 || m.Classification == 1},
		{10352, m.RequestID != ""},
		{10353, len(m.RequestID) <= 64},
	} {
		if !field.ok {
			return field.code
		}
	}
	return 0
}

// address is where to report: callback.id wins.
func (f *Vivo) address(extra map[string]string) string {
	if id, ok := extra["callback.id"]; ok {
		return f.opts.Callbacks[id]
	}
	return extra["callback"]
}

// status of token as a user of app, 0 for a valid one.
func (f *Vivo) status(app VivoApp, m *vivoMessage, token string) int {
	status, _ := strconv.Atoi(f.devices.fault(token, "1", f.opts.AnyDevice)) // "" is 0
	if status == 0 && m.PushMode == 1 && !slices.Contains(app.Testers, token) {
		status = 4
	}
	return status
}

// push is the message as its device gets it.
func (m *vivoMessage) push(now time.Time) VivoPush {
	p := VivoPush{
		RequestID: m.RequestID, MessageID: m.Custom["m"], At: now,
		Title: m.Title, Content: m.Content, Category: m.Category,
		NotifyType: m.NotifyType, Classification: m.Classification, AddBadge: m.AddBadge,
		Custom: m.Custom, Raw: m.raw,
	}
	if m.NotifyID != nil {
		p.NotifyID = *m.NotifyID
	}
	if !m.SendOnline {
		ttl := 86_400
		if m.TimeToLive != nil {
			ttl = min(*m.TimeToLive, ttl)
		}
		p.Expires = now.Add(time.Duration(ttl) * time.Second)
	}
	return p
}
