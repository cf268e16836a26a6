package fcm

import (
	"encoding/json"
	"time"

	"firebase.google.com/go/v4/messaging"
	"github.com/rivo/uniseg"

	"github.com/rouse-im/rouse/vendors"
)

const (
	// maxPayload is FCM's bound in bytes (FCM docs: ErrorCode, INVALID_ARGUMENT),
	// and APNs's for what FCM hands on.
	maxPayload = 4096
	// apnsOwn is kept free for the keys that FCM adds to an APNs payload.
	apnsOwn  = 256
	ellipsis = "…"
)

// fit maps a push within maxPayload: it cuts the body, then the title. It
// fails when the rest alone, data above all, is too big.
func (s style) fit(n *vendors.Notification, now time.Time) (*messaging.Message, bool) {
	m := s.compose(n, now)
	over := payload(m) - maxPayload
	if over <= 0 {
		return m, true
	}
	short := *n
	for _, text := range []*string{&short.Body, &short.Title} {
		*text = cut(*text, len(*text)-over)
		m = s.compose(&short, now)
		if over = payload(m) - maxPayload; over <= 0 {
			return m, true
		}
	}
	return nil, false
}

// payload is the size of the larger of what Android and what iOS gets. It
// counts JSON, which is never less than the keys and values that Google counts.
func payload(m *messaging.Message) int {
	data := jsonBytes(m.Data)
	android, ios := data, data+apnsOwn
	if m.Notification != nil {
		android += jsonBytes(m.Notification)
	}
	if m.Android.Notification != nil {
		android += jsonBytes(m.Android.Notification)
	}
	return max(android, ios+jsonBytes(m.APNS.Payload))
}

func jsonBytes(v any) int {
	raw, err := json.Marshal(v)
	if err != nil {
		return maxPayload + 1 // what cannot be encoded does not fit
	}
	return len(raw)
}

// cut shortens text to at most limit bytes, the ellipsis included, between two
// characters as people see them. The result is empty when none fits.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	limit -= len(ellipsis)
	kept, rest, state := 0, text, -1
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if kept+len(cluster) > limit {
			break
		}
		kept += len(cluster)
	}
	if kept == 0 {
		return ""
	}
	return text[:kept] + ellipsis
}
