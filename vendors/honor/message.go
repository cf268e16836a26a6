package honor

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/cut"
)

const (
	// maxPayload bounds a body in bytes without the tokens. Unconfirmed: Huawei's.
	maxPayload = 4096
	// maxTTL is the longest that Honor keeps a push (downlink-message, android.ttl).
	maxTTL = 1_296_000 * time.Second
	// maxBadge bounds setNum (downlink-message, badge).
	maxBadge = 99
	// noText stands for an empty body or title, of which Honor wants both.
	noText = " "
)

// Importances: service and communication, or information and marketing
// (downlink-message, android.notification.importance).
const (
	normal = "NORMAL"
	low    = "LOW"
)

type body struct {
	Data         string   `json:"data,omitempty"`
	Notification text     `json:"notification"`
	Android      android  `json:"android"`
	Token        []string `json:"token"`
}

type text struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Image string `json:"image,omitempty"`
}

type android struct {
	TTL          string       `json:"ttl"`
	BiTag        string       `json:"biTag"`
	TestUser     int          `json:"targetUserType,omitempty"`
	Notification notification `json:"notification"`
}

type notification struct {
	Importance  string `json:"importance"`
	ClickAction click  `json:"clickAction"`
	Badge       *badge `json:"badge,omitempty"`
	Tag         string `json:"tag,omitempty"`
	Group       string `json:"group,omitempty"`
}

type click struct {
	Type   int    `json:"type"` // 1 = the page of intent or action, 3 = the app
	Intent string `json:"intent,omitempty"`
	Action string `json:"action,omitempty"`
}

// badge has pointers: a setNum of 0 clears the number and must be written, an
// addNum of 0 must not.
type badge struct {
	Add   *int   `json:"addNum,omitempty"`
	Set   *int   `json:"setNum,omitempty"`
	Class string `json:"badgeClass"`
}

// fit writes a body within maxPayload and Honor's bounds of texts: it cuts the
// notification's body, then its title, no more than needed. It fails when the
// rest alone is too big.
func (c *Config) fit(n *vendors.Notification, tokens []string, now time.Time) ([]byte, bool) {
	b := c.compose(n, now)
	b.Notification.Title, b.Notification.Body, b.Token = noText, noText, []string{}
	left := maxPayload - len(courier.JSON(b))
	if left < 0 {
		return nil, false
	}
	b.Notification.Title = orNoText(cut.Text(n.Title, cut.Limit{In: cut.JSON, Most: left + len(noText)}, cut.Limit{In: cut.UTF16, Most: c.TitleUnits}))
	left -= cut.JSON(b.Notification.Title) - len(noText)
	b.Notification.Body = orNoText(cut.Text(n.Body, cut.Limit{In: cut.JSON, Most: left + len(noText)}, cut.Limit{In: cut.UTF16, Most: c.BodyUnits}))
	b.Token = tokens
	return courier.JSON(b), true
}

func orNoText(text string) string {
	if text == "" {
		return noText
	}
	return text
}

// compose maps all but texts and tokens. The collapse id is the tag, by which
// the phone replaces what it shows. Pictures are for NORMAL pushes only.
func (c *Config) compose(n *vendors.Notification, now time.Time) *body {
	ttl := min(max(n.Expires.Sub(now), 0), maxTTL) / time.Second
	b := &body{Android: android{
		TTL: strconv.Itoa(int(ttl)) + "s", BiTag: n.PushID,
		Notification: notification{
			Importance: c.importanceOf(n), ClickAction: click{Type: 3},
			Badge: c.badgeOf(n), Tag: n.CollapseID, Group: n.ThreadID,
		},
	}}
	if len(n.Data) > 0 {
		b.Data = string(courier.JSON(n.Data))
	}
	if b.Android.Notification.Importance == normal {
		b.Notification.Image = n.ImageURL
	}
	if c.TestMessages || n.Override.Test {
		b.Android.TestUser = 1
	}
	intent, action := c.ClickIntent, c.ClickAction
	if n.Override.ClickAction != "" {
		intent, action = vendors.Click(n.Override.ClickAction)
	}
	if intent != "" || action != "" {
		b.Android.Notification.ClickAction = click{1, intent, action}
	}
	return b
}

// importanceOf takes the push's own category when that is an importance. Honor
// has no channels and no other categories.
func (c *Config) importanceOf(n *vendors.Notification) string {
	switch own := strings.ToUpper(cmp.Or(n.Override.Importance, n.Category)); {
	case own == normal || own == low:
		return own
	case n.Class == vendors.ClassMarketing:
		return low
	case n.Class == vendors.ClassSystem:
		return c.SystemImportance
	}
	return normal
}

// badgeOf needs the class, without which Honor refuses a badge.
func (c *Config) badgeOf(n *vendors.Notification) *badge {
	if n.Badge < 0 || c.BadgeClass == "" || c.Badge == BadgeNone {
		return nil
	}
	if c.Badge == BadgeAdd {
		one := 1
		return &badge{Add: &one, Class: c.BadgeClass}
	}
	number := min(n.Badge, maxBadge)
	return &badge{Set: &number, Class: c.BadgeClass}
}
