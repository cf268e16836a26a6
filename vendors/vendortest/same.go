package vendortest

import (
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

// SameNow is the time at which CheckSame composes bodies.
var SameNow = time.Unix(1_700_000_000, 0)

// CheckSame changes a push field by field and compares what same says with the
// request bodies, which body composes at SameNow; what the vendor refuses is a
// body too. category is a word that the vendor understands.
func CheckSame(t *testing.T, category string, same func(a, b *vendors.Notification) bool, body func(*vendors.Notification) string) {
	t.Helper()
	base := func() *vendors.Notification {
		return &vendors.Notification{
			PushID: "9b1c0c9e-0000-4000-8000-000000000001", Token: "token-1", Channel: vendors.ChannelAlert, Class: vendors.ClassIM,
			Title: "title", Subtitle: "sub", Body: "body", Sound: "default", ImageURL: "https://x.test/a.png",
			ThreadID: "thread", CollapseID: "collapse", Badge: 3, Data: map[string]string{"m": "1"}, Expires: SameNow.Add(time.Hour),
		}
	}
	o := base()
	for name, other := range map[string]vendors.Override{
		"category": {Category: category}, "channel": {ChannelID: "c"}, "click": {ClickAction: "a"}, "importance": {Importance: "LOW"},
		"level": {NotifyLevel: 2}, "receipt": {ReceiptID: "r"}, "notify id": {NotifyID: 7}, "test": {Test: true}, "public": {Public: true},
		"mutable": {MutableContent: true}, "available": {ContentAvailable: true}, "label": {AnalyticsLabel: "l"},
	} { // what a vendor lacks may cost a call
		b := base()
		b.Override = other
		if same(o, b) && body(o) != body(b) {
			t.Errorf("override of %s changes the body and not what is the same", name)
		}
	}
	for name, change := range map[string]func(*vendors.Notification){
		"nothing":        func(*vendors.Notification) {},
		"channel":        func(n *vendors.Notification) { n.Channel = vendors.ChannelBadge },
		"class":          func(n *vendors.Notification) { n.Class = vendors.ClassMarketing },
		"title":          func(n *vendors.Notification) { n.Title = "other" },
		"subtitle":       func(n *vendors.Notification) { n.Subtitle = "other" },
		"body":           func(n *vendors.Notification) { n.Body = "other" },
		"no sound":       func(n *vendors.Notification) { n.Sound = "" },
		"other sound":    func(n *vendors.Notification) { n.Sound = "ring" },
		"image":          func(n *vendors.Notification) { n.ImageURL = "https://x.test/b.png" },
		"category":       func(n *vendors.Notification) { n.Category = category },
		"thread":         func(n *vendors.Notification) { n.ThreadID = "other" },
		"collapse":       func(n *vendors.Notification) { n.CollapseID = "other" },
		"no collapse":    func(n *vendors.Notification) { n.CollapseID = "" },
		"badge":          func(n *vendors.Notification) { n.Badge = 4 },
		"badge zero":     func(n *vendors.Notification) { n.Badge = 0 },
		"no badge":       func(n *vendors.Notification) { n.Badge = -1 },
		"data":           func(n *vendors.Notification) { n.Data = map[string]string{"m": "2"} },
		"more data":      func(n *vendors.Notification) { n.Data = map[string]string{"m": "1", "t": "u"} },
		"no data":        func(n *vendors.Notification) { n.Data = nil },
		"a longer life":  func(n *vendors.Notification) { n.Expires = n.Expires.Add(2 * time.Hour) },
		"a shorter life": func(n *vendors.Notification) { n.Expires = SameNow.Add(-time.Hour) },
	} {
		a, b := base(), base()
		change(b)
		want := body(a) == body(b)
		b.PushID, b.Token = "9b1c0c9e-0000-4000-8000-000000000002", "token-2"
		b.Expires = b.Expires.Add(999 * time.Millisecond)
		if same(a, b) != want || same(b, a) != want {
			t.Errorf("%s changed: same is %v and %v, bodies equal: %v", name, same(a, b), same(b, a), want)
		}
		if !same(b, b) {
			t.Errorf("%s changed: a push is not the same as itself", name)
		}
	}
}
