package oppo

import (
	"net/url"
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
		r := newRig(t, func(c *Config, _ *fake.OPPOOptions, app *fake.OPPOApp) {
			c.ChannelID, c.NotifyLevel, c.Activity = "chat", 16, "com.example.Chat"
			c.TemplateID, c.TemplateTitle, c.TemplateContent = "t-1", "who", "what"
			app.Loud, app.Template = true, "t-1"
		})
		n := r.push()
		n.Subtitle, n.Body, n.CollapseID, n.Badge = "Friends", "a & b <你好> 50%+1", "conversation-7", 3
		n.Data = map[string]string{"m": "m1", "a b": "\"x\""}
		r.must(t, n, vendors.Accepted)
		form, err := url.ParseQuery(r.last(t, n.Token).Form)
		if err != nil {
			t.Fatal(err)
		}
		want := url.Values{"message": {
			`{"target_type":2,"target_value":"` + n.Token + `","verify_registration_id":true,"notification":{` +
				`"app_message_id":"5b0c7d1e-32aa-4f10-8c55-000000000001","style":1,"title":"Ann","sub_title":"Friends",` +
				`"content":"a & b <你好> 50%+1","click_action_type":4,"click_action_activity":"com.example.Chat",` +
				`"action_parameters":"{\"a b\":\"\\\"x\\\"\",\"m\":\"m1\"}","off_line":true,"off_line_ttl":3600,` +
				`"channel_id":"chat","category":"IM","notify_level":16,"private_msg_template_id":"t-1",` +
				`"private_title_parameters":"{\"who\":\"Ann\"}","private_content_parameters":"{\"what\":\"a & b <你好> 50%+1\"}",` +
				`"notify_id":319403230,"badge_operation_type":0,"badge_message_count":3}}`,
		}}
		if diff := cmp.Diff(want, form); diff != "" {
			t.Errorf("form (-want +got):\n%s", diff)
		}
	})
}

func testStyle(t *testing.T, change ...func(*Config)) style {
	t.Helper()
	c := testConfig()
	for _, f := range change {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.style
}

func composed(t *testing.T, s style, n vendors.Notification) string {
	t.Helper()
	n.Channel = vendors.ChannelAlert
	if n.Title == "" {
		n.Title, n.Body = "t", "b"
	}
	raw, refusal := s.compose(&n, time.Unix(1_700_000_000, 0))
	if refusal != "" {
		t.Fatalf("refused: %s", refusal)
	}
	return string(raw)
}

func TestClasses(t *testing.T) {
	level := func(c *Config) { c.NotifyLevel = 2 }
	template := func(c *Config) { c.TemplateID, c.TemplateTitle, c.TemplateObjects = "t-1", "who", true }
	for _, c := range []struct {
		name         string
		change       func(*Config)
		class        vendors.Class
		category     string
		want, absent []string
	}{
		{"call", level, vendors.ClassCall, "", []string{`"category":"IM"`, `"notify_level":2`}, nil},
		{"chat", level, vendors.ClassIM, "", []string{`"category":"IM"`, `"notify_level":2`}, []string{"channel_id"}},
		{"system", level, vendors.ClassSystem, "", []string{`"category":"ACCOUNT"`}, []string{"notify_level"}},
		{"marketing", level, vendors.ClassMarketing, "", []string{`"category":"MARKETING"`}, []string{"notify_level"}},
		{"category of the push", level, vendors.ClassIM, "ORDER", []string{`"category":"ORDER"`, `"notify_level":2`}, []string{"channel_id"}},
		{"public category of a chat", level, vendors.ClassIM, "NEWS", []string{`"category":"NEWS"`}, []string{"notify_level"}},
		{"channel of the push", level, vendors.ClassIM, "im", []string{`"category":"IM"`, `"channel_id":"im"`}, nil},
		{"no categories", func(c *Config) { c.Category, c.ChannelID = none, "old" }, vendors.ClassIM, "", []string{`"channel_id":"old"`}, []string{"category"}},
		{"template as objects", template, vendors.ClassIM, "", []string{`"private_msg_template_id":"t-1"`, `"private_title_parameters":{"who":"t"}`}, []string{"private_content"}},
		{"template is for chats", template, vendors.ClassSystem, "", nil, []string{"private_"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := composed(t, testStyle(t, c.change), vendors.Notification{Class: c.class, Category: c.category, Badge: -1})
			for _, part := range c.want {
				if !strings.Contains(got, part) {
					t.Errorf("%s is missing in %s", part, got)
				}
			}
			for _, part := range append(c.absent, "badge", "notify_id", "action_parameters") {
				if strings.Contains(got, part) {
					t.Errorf("%s is in %s", part, got)
				}
			}
		})
	}
}

func TestStyles(t *testing.T) {
	s := testStyle(t)
	for length, want := range map[int]string{50: `"style":1`, 51: `"style":2`, 500: `"style":2`} {
		n := vendors.Notification{Title: "t", Body: strings.Repeat("界", length), Badge: -1}
		if got := composed(t, s, n); !strings.Contains(got, want) {
			t.Errorf("%d characters: %s", length, got)
		}
	}
	got := composed(t, s, vendors.Notification{Title: "t", Subtitle: "0123456789a", Badge: -1})
	if !strings.Contains(got, `"sub_title":"012345678…","content":"t"`) {
		t.Errorf("subtitle and missing body: %s", got)
	}
}

func TestPushesThatCannotBe(t *testing.T) {
	s := testStyle(t)
	for want, n := range map[string]vendors.Notification{
		codeChannel:  {Channel: vendors.ChannelBadge, Badge: 5},
		codeNoText:   {Channel: vendors.ChannelAlert, Title: " ", Body: "\n"},
		codeDataSize: {Channel: vendors.ChannelAlert, Title: "t", Data: map[string]string{"k": strings.Repeat("x", 4000)}},
	} {
		if _, got := s.compose(&n, time.Now()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	whole := vendors.Notification{Title: "t", Body: "b", Data: map[string]string{"k": strings.Repeat("界", 3992)}}
	if got := composed(t, s, whole); !strings.Contains(got, "action_parameters") {
		t.Error("data of 4000 characters was not sent")
	}
}

// TestCollapse: pushes with one collapse id replace each other on the device.
func TestCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		first := r.push()
		for i, id := range []string{"a", "a", "b", ""} {
			n := *first
			n.PushID, n.CollapseID = n.PushID[:35]+string(rune('a'+i)), id
			r.must(t, &n, vendors.Accepted)
		}
		d, _ := r.fake.Device(first.Token)
		if len(d.Received) != 4 || len(d.Shown) != 3 {
			t.Errorf("%d received, %d shown; want 4 and 3", len(d.Received), len(d.Shown))
		}
	})
}

func TestTTLIsClamped(t *testing.T) {
	s := testStyle(t)
	now := time.Unix(1_700_000_000, 0)
	for left, want := range map[time.Duration]string{
		-time.Hour:               `"off_line":false,"category"`,
		999 * time.Millisecond:   `"off_line":false,"category"`,
		90500 * time.Millisecond: `"off_line":true,"off_line_ttl":90,`,
		11 * 24 * time.Hour:      `"off_line":true,"off_line_ttl":864000,`,
	} {
		if got := composed(t, s, vendors.Notification{Expires: now.Add(left)}); !strings.Contains(got, want) {
			t.Errorf("%v: %s", left, got)
		}
	}
}
