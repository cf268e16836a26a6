package apns

import (
	"cmp"
	"maps"
	"strings"
	"time"

	"github.com/sideshow/apns2"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/cut"
)

// Limits of the payload in bytes ("Sending notification requests to APNs").
const (
	maxPayload     = 4096
	maxVoIPPayload = 5120
)

const (
	apsKey        = "aps"
	apsKeyRenamed = "data.aps"
	imageKey      = "image"
)

// aps is Apple's part of the payload.
type aps struct {
	Alert          *alert
	Badge          *int
	Sound          string
	ThreadID       string
	Category       string
	MutableContent int
	// ContentAvailable wakes the app beside showing the alert.
	ContentAvailable int
}

type alert struct{ Title, Subtitle, Body string }

// compose maps n to apns2; ok is false when n cannot fit even without texts.
func compose(bundleID string, n *vendors.Notification) (push *apns2.Notification, ok bool) {
	push = &apns2.Notification{
		ApnsID:      n.PushID,
		CollapseID:  n.CollapseID,
		DeviceToken: n.Token,
		Topic:       bundleID,
		Expiration:  expiration(n.Expires),
		Priority:    apns2.PriorityHigh,
		PushType:    apns2.PushTypeAlert,
	}
	limit := maxPayload
	switch {
	case n.Channel == vendors.ChannelVoIP:
		limit = maxVoIPPayload
		push.Topic += ".voip"
		push.PushType = apns2.PushTypeVOIP
		push.Expiration = expiration(time.Time{}) // a late call is worse than none
	case n.Channel == vendors.ChannelBadge || n.Class == vendors.ClassMarketing:
		push.Priority = apns2.PriorityLow
	}
	payload, ok := fit(n, limit)
	push.Payload = payload
	return push, ok
}

// expiration is never before second 1: apns2 leaves the header out for 0 and
// less, and APNs would then keep the push. Any past second means one attempt.
func expiration(t time.Time) time.Time {
	if t.Unix() < 1 {
		return time.Unix(1, 0)
	}
	return t
}

// fit builds the payload and cuts body, subtitle and title, in this order, as
// far as limit needs. It fails when the rest alone exceeds limit.
func fit(n *vendors.Notification, limit int) ([]byte, bool) {
	a := aps{Sound: n.Sound, ThreadID: n.ThreadID, Category: cmp.Or(n.Override.Category, n.Category)}
	if n.Badge >= 0 {
		a.Badge = &n.Badge
	}
	if n.ImageURL != "" || n.Override.MutableContent {
		a.MutableContent = 1
	}
	if n.Override.ContentAvailable {
		a.ContentAvailable = 1
	}
	text := &alert{Title: n.Title, Subtitle: n.Subtitle, Body: n.Body}
	if n.Channel == vendors.ChannelBadge {
		a, text = aps{Badge: a.Badge}, &alert{}
	}
	var payload []byte
	for _, part := range []*string{nil, &text.Body, &text.Subtitle, &text.Title} {
		if part != nil && *part != "" {
			valid := strings.ToValidUTF8(*part, "\uFFFD")
			*part = cut.Text(valid, cut.Limit{In: cut.HTML, Most: cut.HTML(valid) - (len(payload) - limit)})
		}
		a.Alert = nil
		if *text != (alert{}) {
			a.Alert = text
		}
		if payload = encode(&a, n); len(payload) <= limit {
			return payload, true
		}
	}
	return nil, false
}

// peersOf is what goes beside "aps".
func peersOf(n *vendors.Notification) map[string]string {
	_, clash := n.Data[apsKey]
	image := n.ImageURL != "" && n.Channel != vendors.ChannelBadge
	if !clash && !image {
		return n.Data
	}
	peers := make(map[string]string, len(n.Data)+1)
	if image {
		peers[imageKey] = n.ImageURL
	}
	maps.Copy(peers, n.Data)
	if clash {
		peers[apsKeyRenamed] = n.Data[apsKey]
		delete(peers, apsKey)
	}
	return peers
}
