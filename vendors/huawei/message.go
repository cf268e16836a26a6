package huawei

import (
	"slices"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/cut"
)

const (
	// maxPayload bounds a body in bytes without the tokens (Result codes, 80300008).
	maxPayload = 4096
	// maxTTL is the longest that Huawei keeps a push (android.ttl, pushOptions.ttl).
	maxTTL = 1_296_000 * time.Second
	// maxBadge bounds set_num and setNum.
	maxBadge = 99
	// noText stands for an empty body or title, which Huawei refuses.
	noText = " "
)

// categories are Huawei's, of notifications (message.android.category,
// payload.notification.category).
var categories = []string{
	"IM", "VOIP", "MISS_CALL", "SUBSCRIPTION", "TRAVEL", "HEALTH", "WORK", "ACCOUNT", "EXPRESS",
	"FINANCE", "DEVICE_REMINDER", "MAIL", "MARKETING",
}

// writer maps a push with these texts to a body for tokens.
type writer func(p *parsed, n *vendors.Notification, title, body string, tokens []string, now time.Time) []byte

// fit writes a body within maxPayload: it cuts the notification's body, then
// its title, no more than needed. It fails when the rest alone is too big.
func (p *parsed) fit(w writer, n *vendors.Notification, tokens []string, now time.Time) ([]byte, bool) {
	left := maxPayload - len(w(p, n, noText, noText, []string{}, now))
	if left < 0 {
		return nil, false
	}
	title := cut.Text(n.Title, cut.Limit{In: cut.JSON, Most: left + len(noText)})
	left -= cut.JSON(orNoText(title)) - len(noText)
	body := cut.Text(n.Body, cut.Limit{In: cut.JSON, Most: left + len(noText)})
	return w(p, n, orNoText(title), orNoText(body), tokens, now), true
}

func orNoText(text string) string {
	if text == "" {
		return noText
	}
	return text
}

// categoryOf prefers the push's own, which is Huawei's word in any case; other
// words are no category.
func (p *parsed) categoryOf(n *vendors.Notification) string {
	if n.Override.Category != "" {
		return n.Override.Category
	}
	if own := strings.ToUpper(n.Category); slices.Contains(categories, own) {
		return own
	}
	switch n.Class {
	case vendors.ClassCall:
		return p.CallCategory
	case vendors.ClassSystem:
		return p.SystemCategory
	case vendors.ClassMarketing:
		return p.MarketingCategory
	default:
		return p.IMCategory
	}
}

// channelOf takes a category that is not Huawei's as the app's channel.
func (p *parsed) channelOf(n *vendors.Notification) string {
	if n.Override.ChannelID != "" {
		return n.Override.ChannelID
	}
	if n.Category != "" && !slices.Contains(categories, strings.ToUpper(n.Category)) {
		return n.Category
	}
	return p.ChannelID
}

// seconds is the life that is left.
func seconds(n *vendors.Notification, now time.Time) int {
	return int(min(max(n.Expires.Sub(now), 0), maxTTL) / time.Second)
}

// badgeOf gives what to add and what to set, at most one of them. Pointers: a
// set of 0 clears the number and must be written.
func (p *parsed) badgeOf(n *vendors.Notification) (add, set *int) {
	if n.Badge < 0 {
		return nil, nil
	}
	switch p.Badge {
	case BadgeSet:
		number := min(n.Badge, maxBadge)
		return nil, &number
	case BadgeAdd:
		one := 1
		return &one, nil
	default:
		return nil, nil
	}
}
