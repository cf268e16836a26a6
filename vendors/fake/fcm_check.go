package fake

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fcmMessage is the request body, field by field as the reference names them.
type fcmMessage struct {
	ValidateOnly bool `json:"validate_only"`
	Message      struct {
		Token, FID, Topic, Condition string
		Name                         string
		Data                         map[string]string
		Notification                 *fcmNotification
		Android                      *fcmAndroid
		APNS                         *fcmAPNS
		Webpush                      json.RawMessage
		FCMOptions                   json.RawMessage `json:"fcm_options"`
	} `json:"message"`

	ttl   time.Duration
	bytes int
	aps   map[string]json.RawMessage
}

func (m *fcmMessage) token() string { return m.Message.Token }

type fcmNotification struct{ Title, Body, Image string }

type fcmAndroid struct {
	CollapseKey           string `json:"collapse_key"`
	Priority, TTL         string
	RestrictedPackageName string `json:"restricted_package_name"`
	Data                  map[string]string
	Notification          *fcmAndroidNotification
	FCMOptions            json.RawMessage `json:"fcm_options"`
	DirectBootOK          bool            `json:"direct_boot_ok"`
	BandwidthOK           bool            `json:"bandwidth_constrained_ok"`
	SatelliteOK           bool            `json:"restricted_satellite_ok"`
}

type fcmAndroidNotification struct {
	Title, Body, Icon, Color, Sound, Tag, Image, Ticker, Visibility, Proxy string

	ClickAction           string          `json:"click_action"`
	BodyLocKey            string          `json:"body_loc_key"`
	BodyLocArgs           []string        `json:"body_loc_args"`
	TitleLocKey           string          `json:"title_loc_key"`
	TitleLocArgs          []string        `json:"title_loc_args"`
	ChannelID             string          `json:"channel_id"`
	Sticky                bool            `json:"sticky"`
	EventTime             string          `json:"event_time"`
	LocalOnly             bool            `json:"local_only"`
	Priority              string          `json:"notification_priority"`
	DefaultSound          bool            `json:"default_sound"`
	DefaultVibrateTimings bool            `json:"default_vibrate_timings"`
	DefaultLightSettings  bool            `json:"default_light_settings"`
	VibrateTimings        []string        `json:"vibrate_timings"`
	Count                 *int            `json:"notification_count"`
	LightSettings         json.RawMessage `json:"light_settings"`
	BypassProxy           bool            `json:"bypass_proxy_notification"`
}

type fcmAPNS struct {
	Headers           map[string]string
	Payload           map[string]json.RawMessage
	FCMOptions        json.RawMessage `json:"fcm_options"`
	LiveActivityToken string          `json:"live_activity_token"`
}

// Limits of the reference.
const (
	fcmMaxBytes = 4096
	fcmMaxTTL   = 28 * 24 * time.Hour
	fcmTTL      = 28 * 24 * time.Hour // when none is given
)

var (
	fcmDuration = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?s$`)
	fcmColor    = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
)

// parseFCM decodes and checks a body. The message is never nil: what was
// decoded before the fault is in it.
func parseFCM(body []byte) (*fcmMessage, *fcmError) {
	m := &fcmMessage{}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(m); err != nil {
		return m, asFCMError(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return m, fcmBadRequest("", "Invalid JSON payload received.")
	}
	if m.Message.FID != "" && m.Message.Token == "" {
		m.Message.Token, m.Message.FID = m.Message.FID, ""
	}
	for _, check := range []func(*fcmMessage) *fcmError{
		checkFCMTarget, checkFCMData, checkFCMAndroid, checkFCMImages, checkFCMAPNS, checkFCMSize,
	} {
		if refusal := check(m); refusal != nil {
			return m, refusal
		}
	}
	return m, nil
}

func checkFCMTarget(m *fcmMessage) *fcmError {
	targets := 0
	for _, target := range []string{m.Message.Token, m.Message.FID, m.Message.Topic, m.Message.Condition} {
		if target != "" {
			targets++
		}
	}
	switch {
	case targets == 0:
		return fcmBadRequest("message", "Recipient of the message is not set.")
	case targets > 1:
		return fcmBadRequest("message", "oneof field 'target' is already set.")
	case m.Message.Token == "":
		return fcmBadRequest("message", "Topics and conditions are not part of this fake.")
	}
	return nil
}

func checkFCMData(m *fcmMessage) *fcmError {
	all := []map[string]string{m.Message.Data}
	if m.Message.Android != nil {
		all = append(all, m.Message.Android.Data)
	}
	for _, data := range all {
		for key := range data {
			if key == "" || key == "from" || key == "message_type" ||
				strings.HasPrefix(key, "google.") || strings.HasPrefix(key, "gcm.") {
				return fcmBadRequest("message.data", "Invalid data payload key: "+key)
			}
		}
	}
	return nil
}

func checkFCMAndroid(m *fcmMessage) *fcmError {
	m.ttl = fcmTTL
	a := m.Message.Android
	if a == nil {
		return nil
	}
	if !slices.Contains([]string{"", "normal", "high", "NORMAL", "HIGH"}, a.Priority) {
		return fcmBadRequest("message.android.priority", a.Priority)
	}
	if a.TTL != "" {
		ttl, err := time.ParseDuration(a.TTL)
		if err != nil || !fcmDuration.MatchString(a.TTL) || ttl > fcmMaxTTL {
			return fcmBadRequest("message.android.ttl", "Must be a duration of 0 to 2419200 s")
		}
		m.ttl = ttl
	}
	n := a.Notification
	if n == nil {
		return nil
	}
	const field = "message.android.notification."
	if n.Count != nil && *n.Count < 0 {
		return fcmBadRequest(field+"notification_count", "Must not be negative")
	}
	if n.Color != "" && !fcmColor.MatchString(n.Color) {
		return fcmBadRequest(field+"color", "Must be #rrggbb")
	}
	for _, enum := range []struct {
		name, value string
		values      []string
	}{
		{"notification_priority", n.Priority, []string{"PRIORITY_UNSPECIFIED", "PRIORITY_MIN", "PRIORITY_LOW", "PRIORITY_DEFAULT", "PRIORITY_HIGH", "PRIORITY_MAX"}},
		{"visibility", n.Visibility, []string{"VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"}},
		{"proxy", n.Proxy, []string{"PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"}},
	} {
		if enum.value != "" && !slices.Contains(enum.values, enum.value) {
			return fcmBadRequest(field+enum.name, enum.value)
		}
	}
	return nil
}

func checkFCMImages(m *fcmMessage) *fcmError {
	var images []string
	if m.Message.Notification != nil {
		images = append(images, m.Message.Notification.Image)
	}
	if a := m.Message.Android; a != nil && a.Notification != nil {
		images = append(images, a.Notification.Image)
	}
	for _, image := range images {
		if u, err := url.Parse(image); err != nil || image != "" && (u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return fcmBadRequest("message.notification.image", "Must be an absolute address")
		}
	}
	return nil
}

// checkFCMAPNS also refuses what Apple would refuse behind Google.
func checkFCMAPNS(m *fcmMessage) *fcmError {
	a := m.Message.APNS
	if a == nil {
		return nil
	}
	if raw, ok := a.Payload["aps"]; ok && json.Unmarshal(raw, &m.aps) != nil {
		return fcmBadRequest("message.apns.payload", "aps must be an object")
	}
	const field = "message.apns.headers"
	for name, value := range a.Headers {
		ok := true
		switch name {
		case "apns-priority":
			ok = value == "1" || value == "5" || value == "10"
		case "apns-expiration":
			_, err := strconv.ParseUint(value, 10, 40)
			ok = err == nil
		case "apns-collapse-id":
			ok = len(value) <= 64
		case "apns-push-type":
			ok = slices.Contains([]string{"alert", "background"}, value)
		}
		if !ok {
			return fcmBadRequest(field, name+" is invalid")
		}
	}
	silent := m.Message.Notification == nil && m.aps["alert"] == nil && m.aps["sound"] == nil && m.aps["badge"] == nil
	if silent && a.Headers["apns-priority"] == "10" {
		return fcmBadRequest(field, "apns-priority must be 5 for a data message")
	}
	return nil
}

// checkFCMSize counts keys and values of what Android gets, and the JSON of
// what iOS gets.
func checkFCMSize(m *fcmMessage) *fcmError {
	data := 0
	for key, value := range m.Message.Data {
		data += len(key) + len(value)
	}
	android, ios := data, data
	if n := m.Message.Notification; n != nil {
		android += len("title") + len(n.Title) + len("body") + len(n.Body) + len("image") + len(n.Image)
		ios += len("title") + len(n.Title) + len("body") + len(n.Body)
	}
	if a := m.Message.Android; a != nil && a.Notification != nil {
		for _, value := range []string{a.Notification.Title, a.Notification.Body, a.Notification.Tag, a.Notification.Sound, a.Notification.ChannelID, a.Notification.Image} {
			android += len(value)
		}
	}
	if a := m.Message.APNS; a != nil {
		if _, own := m.aps["alert"]; own {
			ios = data
		}
		for key, value := range a.Payload {
			ios += len(key) + len(value)
		}
	}
	if m.bytes = max(android, ios); m.bytes > fcmMaxBytes {
		return &fcmError{
			http: 400, status: "INVALID_ARGUMENT", errorCode: "INVALID_ARGUMENT",
			message: "Message is too big: " + strconv.Itoa(m.bytes) + " bytes",
		}
	}
	return nil
}
