package fcm

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"firebase.google.com/go/v4/messaging"

	"github.com/rouse-im/rouse/vendors"
)

// Data keys of ours. All but the push id are in data messages only, and only
// when they have something to say.
const (
	keyPush     = "rouse_push_id"
	keyTitle    = "rouse_title"
	keySubtitle = "rouse_subtitle"
	keyBody     = "rouse_body"
	keySound    = "rouse_sound"
	keyImage    = "rouse_image"
	keyChannel  = "rouse_channel"
	keyThread   = "rouse_thread"
	keyTag      = "rouse_tag"
	keyBadge    = "rouse_badge"
)

// maxTTL is the longest that FCM keeps a push (FCM docs: Set the lifespan of a message).
const maxTTL = 28 * 24 * time.Hour

// style is what the credential says about messages.
type style struct {
	channel  string
	dataOnly bool
	priority string // of Config
}

// compose maps a push. Calls and badge changes are data messages on Android: a
// call must run the app's code, a badge change must show nothing.
func (s style) compose(n *vendors.Notification, now time.Time) *messaging.Message {
	ttl := min(max(n.Expires.Sub(now), 0), maxTTL).Truncate(time.Second)
	m := &messaging.Message{
		Token:   n.Token,
		Data:    appData(n.Data),
		Android: &messaging.AndroidConfig{Priority: priorityNormal, TTL: &ttl},
		APNS:    &messaging.APNSConfig{Headers: s.apnsHeaders(n, now.Add(ttl)), Payload: &messaging.APNSPayload{Aps: aps(n)}},
	}
	if s.urgent(n) {
		m.Android.Priority = priorityHigh
	}
	m.Data[keyPush] = n.PushID
	if n.Override.AnalyticsLabel != "" {
		m.FCMOptions = &messaging.FCMOptions{AnalyticsLabel: n.Override.AnalyticsLabel}
	}
	if n.ImageURL != "" && n.Channel != vendors.ChannelBadge {
		m.APNS.FCMOptions = &messaging.APNSFCMOptions{ImageURL: n.ImageURL}
	}
	if s.dataOnly || n.Channel != vendors.ChannelAlert {
		s.describe(m.Data, n)
		return m
	}
	m.Notification = &messaging.Notification{Title: n.Title, Body: n.Body, ImageURL: n.ImageURL}
	m.Android.Notification = s.android(n)
	return m
}

// Priorities of FCM.
const (
	priorityHigh   = "high"
	priorityNormal = "normal"
)

// urgent pushes wake a dozing device.
func (s style) urgent(n *vendors.Notification) bool {
	switch {
	case n.Channel == vendors.ChannelBadge:
		return false
	case n.Class == vendors.ClassCall:
		return true
	case s.priority != "":
		return s.priority == priorityHigh
	}
	return n.Class == vendors.ClassIM
}

// android uses the collapse id as the tag, by which the device replaces what
// it shows. A collapse_key would not do: FCM delays collapsible messages
// beyond 20, with one more per 3 minutes, for each app and device (FCM docs:
// Throttling and quotas).
func (s style) android(n *vendors.Notification) *messaging.AndroidNotification {
	a := &messaging.AndroidNotification{
		ChannelID:   s.channelOf(n),
		ClickAction: n.Override.ClickAction,
		Tag:         n.CollapseID,
		Sound:       n.Sound,
		Priority:    messaging.PriorityDefault,
	}
	if s.urgent(n) {
		a.Priority = messaging.PriorityHigh
	}
	if n.Badge >= 0 {
		a.NotificationCount = &n.Badge
	}
	return a
}

func (s style) channelOf(n *vendors.Notification) string {
	return cmp.Or(n.Override.ChannelID, n.Category, s.channel)
}

// describe puts into data what the app needs to draw by itself.
func (s style) describe(data map[string]string, n *vendors.Notification) {
	set := func(key, value string) {
		if value != "" {
			data[key] = value
		}
	}
	if n.Badge >= 0 {
		set(keyBadge, strconv.Itoa(n.Badge))
	}
	if n.Channel == vendors.ChannelBadge {
		return
	}
	set(keyTitle, n.Title)
	set(keySubtitle, n.Subtitle)
	set(keyBody, n.Body)
	set(keySound, n.Sound)
	set(keyImage, n.ImageURL)
	set(keyChannel, s.channelOf(n))
	set(keyThread, n.ThreadID)
	set(keyTag, n.CollapseID)
}

// aps is for iOS tokens, which get an alert in data-only mode too: there the
// system draws, whatever the app wants.
func aps(n *vendors.Notification) *messaging.Aps {
	a := &messaging.Aps{}
	if n.Badge >= 0 {
		a.Badge = &n.Badge
	}
	if n.Channel == vendors.ChannelBadge {
		return a
	}
	a.Alert = &messaging.ApsAlert{Title: n.Title, SubTitle: n.Subtitle, Body: n.Body}
	a.Sound, a.Category, a.ThreadID = n.Sound, n.Category, n.ThreadID
	a.MutableContent = n.ImageURL != ""
	return a
}

func (s style) apnsHeaders(n *vendors.Notification, expires time.Time) map[string]string {
	headers := map[string]string{
		"apns-push-type":  "alert",
		"apns-priority":   "5",
		"apns-expiration": strconv.FormatInt(expires.Unix(), 10),
	}
	if s.urgent(n) {
		headers["apns-priority"] = "10"
	}
	if n.CollapseID != "" {
		headers["apns-collapse-id"] = n.CollapseID
	}
	return headers
}

// appData copies data, moving reserved keys to free ones.
func appData(data map[string]string) map[string]string {
	out := make(map[string]string, len(data)+2)
	for key, value := range data {
		if !reserved(key) {
			out[key] = value
		}
	}
	for key, value := range data {
		if !reserved(key) {
			continue
		}
		free := "x_" + key
		for _, taken := data[free]; taken; _, taken = data[free] {
			free = "x_" + free
		}
		out[free] = value
	}
	return out
}

// reserved keys make FCM refuse the message (FCM HTTP v1 reference,
// Message.data), or would replace the APNs payload's own "aps".
func reserved(key string) bool {
	switch key {
	case "", "from", "message_type", "aps":
		return true
	}
	return strings.HasPrefix(key, "google.") || strings.HasPrefix(key, "gcm.")
}
