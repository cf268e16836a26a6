package apns

import (
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/sideshow/apns2"

	"github.com/rouse-im/rouse/vendors"
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
	ellipsis      = "…"
)

// aps is Apple's part of the payload.
type aps struct {
	Alert          *alert
	Badge          *int
	Sound          string
	ThreadID       string
	Category       string
	MutableContent int
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
	a := aps{Sound: n.Sound, ThreadID: n.ThreadID, Category: n.Category}
	if n.Badge >= 0 {
		a.Badge = &n.Badge
	}
	if n.ImageURL != "" {
		a.MutableContent = 1
	}
	text := &alert{Title: n.Title, Subtitle: n.Subtitle, Body: n.Body}
	if n.Channel == vendors.ChannelBadge {
		a, text = aps{Badge: a.Badge}, &alert{}
	}
	var payload []byte
	for _, part := range []*string{nil, &text.Body, &text.Subtitle, &text.Title} {
		if part != nil && *part != "" {
			*part = cut(*part, escapedLen(*part)-(len(payload)-limit))
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

// cut shortens text to at most limit bytes of JSON, the ellipsis included,
// between two characters as people see them; empty when none fits.
func cut(text string, limit int) string {
	limit -= len(ellipsis)
	kept, used, rest, state := 0, 0, text, -1
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used += escapedLen(cluster); used > limit {
			break
		}
		kept += len(cluster)
	}
	if kept == 0 {
		return ""
	}
	return strings.TrimRight(text[:kept], " \n") + ellipsis
}

// escapedLen is the length of s inside a JSON string.
func escapedLen(s string) int {
	length := 0
	for i, r := range s {
		switch {
		case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t' || r == '\b' || r == '\f':
			length += 2
		case r < ' ' || r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029':
			length += 6
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			length += 6
		default:
			length += utf8.RuneLen(r)
		}
	}
	return length
}
