package vivo

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// TestWire pins the bytes of a request.
func TestWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *fake.VivoOptions, _ *fake.VivoApp) {
			c.AddBadge, c.Intent = true, "intent://open/chat#Intent;scheme=demo;end"
		})
		n := r.push()
		n.Body, n.CollapseID, n.Badge, n.Sound = "a & b <你好>", "conversation-7", 3, "default"
		n.Data = map[string]string{"m": "m1", "a b": `"x"`}
		r.must(t, n, vendors.Accepted)
		want := `{"appId":100000,"regId":"` + n.Token + `","notifyType":4,"title":"Ann","content":"a & b <你好>",` +
			`"timeToLive":3600,"skipType":4,"skipContent":"intent://open/chat#Intent;scheme=demo;end","networkType":-1,` +
			`"classification":1,"category":"IM","clientCustomMap":{"a b":"\"x\"","m":"m1"},` +
			`"requestId":"5b0c7d1e-32aa-4f10-8c55-000000000001","pushMode":0,"notifyId":319403230,"addBadge":true}`
		if diff := cmp.Diff(want, string(r.last(t, n.Token).Raw)); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
		n.Badge, n.Sound = 0, ""
		r.must(t, n, vendors.Accepted)
		if d, _ := r.fake.Device(n.Token); d.Badge != 1 || len(d.Received) != 2 || len(d.Shown) != 1 || d.Shown[0].NotifyType != 1 {
			t.Errorf("%+v", d)
		}
	})
}

func testStyle(t *testing.T, change func(*Config)) style {
	t.Helper()
	c := testConfig()
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.style
}

func TestClasses(t *testing.T) {
	noCategory := func(c *Config) { c.Category, c.MarketingCategory = none, none }
	operational := func(c *Config) { c.Operational = true }
	for _, c := range []struct {
		name           string
		change         func(*Config)
		class          vendors.Class
		category       string
		want           string
		classification int
	}{
		{"call", nil, vendors.ClassCall, "", "IM", 1},
		{"chat", nil, vendors.ClassIM, "", "IM", 1},
		{"system", nil, vendors.ClassSystem, "", "ACCOUNT", 1},
		{"marketing", nil, vendors.ClassMarketing, "", "MARKETING", 0},
		{"category of the push", nil, vendors.ClassIM, "ORDER", "ORDER", 1},
		{"operational category of a chat", nil, vendors.ClassIM, "SOCIAL", "SOCIAL", 0},
		{"no such category", nil, vendors.ClassIM, "im", "IM", 1},
		{"chat without category", noCategory, vendors.ClassIM, "", "", 1},
		{"marketing without category", noCategory, vendors.ClassMarketing, "", "", 0},
		{"operational app", operational, vendors.ClassIM, "", "MARKETING", 0},
		{"operational app, system category", operational, vendors.ClassIM, "IM", "MARKETING", 0},
		{"operational app, other category", operational, vendors.ClassIM, "NEWS", "NEWS", 0},
		{"chats as operational", func(c *Config) { c.Category = "SOCIAL" }, vendors.ClassIM, "", "SOCIAL", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testStyle(t, c.change)
			category, classification := s.classify(&vendors.Notification{Class: c.class, Category: c.category})
			if category != c.want || classification != c.classification {
				t.Errorf("got %q, %d; want %q, %d", category, classification, c.want, c.classification)
			}
		})
	}
}

func TestPushesThatCannotBe(t *testing.T) {
	s := testStyle(t, nil)
	data := map[string]string{}
	for i := range 11 {
		data[strings.Repeat("k", i+1)] = strings.Repeat("x", 90)
	}
	for name, c := range map[string]struct {
		n    vendors.Notification
		want string
	}{
		"badge only":      {vendors.Notification{Channel: vendors.ChannelBadge, Badge: 5}, codeChannel},
		"no text":         {vendors.Notification{Channel: vendors.ChannelAlert, Title: " "}, codeNoText},
		"data too long":   {vendors.Notification{Channel: vendors.ChannelAlert, Title: "t", Data: map[string]string{"k": strings.Repeat("x", 1024)}}, codeDataSize},
		"packed too long": {vendors.Notification{Channel: vendors.ChannelAlert, Title: "t", Data: data}, codeDataSize},
		"data that fits":  {vendors.Notification{Channel: vendors.ChannelAlert, Title: "t", Data: map[string]string{"k": strings.Repeat("界", 1023)}}, ""},
	} {
		if _, got := s.compose(&c.n, time.Now()); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestTTL: a minute to a day; what is wanted for less goes to online devices.
func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for left, want := range map[time.Duration]time.Duration{
			-time.Hour: 0, 59 * time.Second: 0, time.Minute: time.Minute,
			90500 * time.Millisecond: 90 * time.Second, 24 * time.Hour: 24 * time.Hour, 100 * time.Hour: 24 * time.Hour,
		} {
			n := r.push()
			n.Expires = time.Now().Add(left)
			r.must(t, n, vendors.Accepted)
			p := r.last(t, n.Token)
			if got := p.Expires; want == 0 && !got.IsZero() || want != 0 && !got.Equal(p.At.Add(want)) {
				t.Errorf("in %v: kept until %v, want for %v", left, got, want)
			}
		}
	})
}

func TestTestMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *fake.VivoOptions, app *fake.VivoApp) {
			c.TestMode, app.Review, app.Testers = true, true, []string{"v2-regid-" + strings.Repeat("0", 22) + "1"}
		})
		r.must(t, r.push(), vendors.Accepted)
		r.must(t, r.push(), vendors.Rejected) // no test device, but not dead
	})
}
