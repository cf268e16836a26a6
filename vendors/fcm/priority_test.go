package fcm

import (
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
)

// The credential's priority holds for all but calls and badge changes.
func TestPriority(t *testing.T) {
	for _, c := range []struct {
		priority string
		class    vendors.Class
		channel  vendors.Channel
		android  string
		apns     string
	}{
		{"", vendors.ClassIM, vendors.ChannelAlert, "high", "10"},
		{"", vendors.ClassMarketing, vendors.ChannelAlert, "normal", "5"},
		{"normal", vendors.ClassIM, vendors.ChannelAlert, "normal", "5"},
		{"normal", vendors.ClassCall, vendors.ChannelAlert, "high", "10"},
		{"high", vendors.ClassMarketing, vendors.ChannelAlert, "high", "10"},
		{"high", vendors.ClassIM, vendors.ChannelBadge, "normal", "5"},
	} {
		n := goldenPush()
		n.Class, n.Channel = c.class, c.channel
		m := style{priority: c.priority}.compose(&n, time.Now())
		if m.Android.Priority != c.android || m.APNS.Headers["apns-priority"] != c.apns {
			t.Errorf("%+v: got %s and %s", c, m.Android.Priority, m.APNS.Headers["apns-priority"])
		}
	}
}
