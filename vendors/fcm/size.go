package fcm

import (
	"encoding/json"
	"sort"
	"time"

	"firebase.google.com/go/v4/messaging"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/cut"
)

const (
	// maxPayload is FCM's bound in bytes (FCM docs: ErrorCode, INVALID_ARGUMENT),
	// and APNs's for what FCM hands on.
	maxPayload = 4096
	// apnsOwn is kept free for the keys that FCM adds to an APNs payload.
	apnsOwn = 256
)

// fit maps a push within maxPayload: it cuts the body, then the title, no more
// than needed. It fails when the rest alone, data above all, is too big.
func (s style) fit(n *vendors.Notification, now time.Time) (*messaging.Message, bool) {
	m := s.compose(n, now)
	if payload(m) <= maxPayload {
		return m, true
	}
	short := *n
	for _, text := range []*string{&short.Body, &short.Title} {
		full, ends := *text, cut.Ends(*text, maxPayload)
		tooLong := sort.Search(len(ends), func(i int) bool {
			*text = full[:ends[i]] + cut.Ellipsis
			return payload(s.compose(&short, now)) > maxPayload
		})
		*text = ""
		if tooLong > 0 {
			*text = full[:ends[tooLong-1]] + cut.Ellipsis
		}
		if m = s.compose(&short, now); payload(m) <= maxPayload {
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
