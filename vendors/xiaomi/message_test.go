package xiaomi

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/cut"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

// TestGoldenRequests: the bytes of the request, with a line for each field.
func TestGoldenRequests(t *testing.T) {
	for name, change := range map[string]func(*vendors.Notification, *Config){
		"alert": func(*vendors.Notification, *Config) {},
		"bare": func(n *vendors.Notification, c *Config) {
			c.IM = Route{}
			*n = vendors.Notification{PushID: n.PushID, Token: n.Token, Channel: vendors.ChannelAlert, Title: "T", Badge: 0, Expires: n.Expires}
		},
		"marketing": func(n *vendors.Notification, _ *Config) {
			n.Class, n.Expires = vendors.ClassMarketing, n.Expires.AddDate(1, 0, 0)
		},
		"template": func(_ *vendors.Notification, c *Config) { c.IM = testTemplate() },
		"intent": func(n *vendors.Notification, c *Config) {
			c.IntentURI, n.Sound, n.CollapseID = "intent:#Intent;component=com.example.im/.Chat;end", "ding", ""
		},
		"escaped": func(_ *vendors.Notification, c *Config) { c.EscapePayload, c.Path = true, "/v4/message/regid" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := goldenPush()
				r := newRig(t, func(c *Config, _ *fake.XiaomiOptions) { change(&n, c) })
				r.fake.AddDevice(n.Token)
				if res, err := r.Send(t.Context(), &n); err != nil || res.Outcome != vendors.Accepted {
					t.Fatalf("%+v, %v", res, err)
				}
				got := strings.ReplaceAll(string(r.took(t, n.Token).Raw), "&", "&\n") + "\n"
				vendortest.Golden(t, filepath.Join("testdata", name+".form"), got)
			})
		})
	}
}

func goldenPush() vendors.Notification {
	return vendors.Notification{
		PushID: "5b0c7d1e-32aa-4f10-8c55-000000000001", Token: "Reg+1/=",
		Channel: vendors.ChannelAlert, Class: vendors.ClassIM,
		Title: "Ann", Subtitle: "Team", Body: "hi <there> & 你好 👍", Sound: "default",
		ImageURL: "https://img.example/1.png", ThreadID: "conv42", CollapseID: "c42",
		Badge: 7, Data: map[string]string{"m": "m1", "k": "a&b=c"},
		Expires: time.Date(2000, 1, 1, 0, 1, 30, 0, time.UTC), // the bubble begins at midnight
	}
}

func testTemplate() Route {
	return Route{ChannelID: "im", TemplateID: "T7", TemplateParams: map[string]string{"from": "title", "text": "body", "id": "data.m"}}
}

func TestTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, o *fake.XiaomiOptions) {
			c.IM = testTemplate()
			o.Channels = map[string]fake.XiaomiChannel{
				"im":   {Templates: map[string][]string{"T7": {"from", "text", "id"}}},
				"news": {},
			}
		})
		for body, want := range map[string]string{
			"hi":                      "hi",
			"👍🏽":                      cut.Ellipsis,
			"a👨‍👩‍👧‍👦b❤️":             "ab",
			"":                        cut.Ellipsis,
			"\xff\U0003FFFD!":         "!",
			strings.Repeat("你好", 100): strings.Repeat("你好", 63) + "你" + cut.Ellipsis,
		} {
			n := r.push()
			n.Body, n.Category = body, "im" // the named channel brings its template
			res, err := r.Send(t.Context(), n)
			if err != nil || res.Outcome != vendors.Accepted {
				t.Errorf("%.20q: %+v, %v", body, res, err)
				continue
			}
			if got := r.took(t, n.Token).Extra["template_param"]; !strings.Contains(got, `"text":"`+want+`"`) {
				t.Errorf("%.20q: %s", body, got)
			}
		}
	})
}

func TestRoutes(t *testing.T) {
	im, call, news := Route{ChannelID: "im"}, Route{ChannelID: "call"}, Route{ChannelID: "news"}
	for _, tt := range []struct {
		class    vendors.Class
		category string
		config   Config
		want     string
	}{
		{vendors.ClassIM, "", Config{IM: im, Call: call}, "im"},
		{vendors.ClassCall, "", Config{IM: im, Call: call}, "call"},
		{vendors.ClassCall, "", Config{IM: im}, "im"},
		{vendors.ClassSystem, "", Config{IM: im}, "im"},
		{vendors.ClassMarketing, "", Config{IM: im}, ""},
		{vendors.ClassMarketing, "", Config{IM: im, Marketing: news}, "news"},
		{vendors.ClassMarketing, "call", Config{IM: im}, "call"},
	} {
		n := &vendors.Notification{Class: tt.class, Category: tt.category}
		if got := tt.config.routeOf(n).ChannelID; got != tt.want {
			t.Errorf("%d %q: %q, want %q", tt.class, tt.category, got, tt.want)
		}
	}
}

// TestUnknownChannel: a route with a wrong channel is for the operator, a push
// that names one spoils nothing but itself.
func TestUnknownChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, o *fake.XiaomiOptions) {
			c.System = Route{ChannelID: "not-approved"}
			o.Channels = map[string]fake.XiaomiChannel{"im": {}}
		})
		for _, tt := range []struct {
			class    vendors.Class
			category string
			want     vendors.Outcome
		}{
			{vendors.ClassIM, "", vendors.Accepted},
			{vendors.ClassSystem, "", vendors.CredentialBad},
			{vendors.ClassIM, "not-approved", vendors.CredentialBad},
			{vendors.ClassIM, "misspelt", vendors.Rejected},
		} {
			n := r.push()
			n.Class, n.Category = tt.class, tt.category
			if res, err := r.Send(t.Context(), n); err != nil || res.Outcome != tt.want {
				t.Errorf("%d %q: %+v, %v; want %s", tt.class, tt.category, res, err, tt.want)
			}
		}
	})
}

// TestShown: the phone replaces by collapse id, stacks without one, and draws a
// repeat once.
func TestShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		token := r.token()
		for _, step := range []struct {
			push, collapse string
			shown          int
		}{{"p1", "", 1}, {"p2", "", 2}, {"p2", "", 2}, {"p3", "c", 3}, {"p4", "c", 3}, {"p5", "d", 4}} {
			n := r.push()
			n.Token, n.PushID, n.CollapseID = token, step.push, step.collapse
			if res, err := r.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted {
				t.Fatalf("%+v, %v", res, err)
			}
			if d, _ := r.fake.Device(token); len(d.Shown) != step.shown {
				t.Errorf("after %s: %d shown, want %d", step.push, len(d.Shown), step.shown)
			}
		}
	})
}

func TestTTL(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		class   vendors.Class
		in, out time.Duration
	}{
		{vendors.ClassIM, -time.Hour, time.Millisecond},
		{vendors.ClassIM, 90 * time.Second, 90 * time.Second},
		{vendors.ClassIM, 30 * 24 * time.Hour, 10 * 24 * time.Hour},
		{vendors.ClassMarketing, 30 * 24 * time.Hour, 24 * time.Hour},
	} {
		if got := ttl(&vendors.Notification{Class: tt.class, Expires: now.Add(tt.in)}, now); got != tt.out {
			t.Errorf("%v: %v, want %v", tt.in, got, tt.out)
		}
	}
}

func TestTexts(t *testing.T) {
	c := testConfig(t)
	for _, tt := range []struct {
		title, body, wantTitle, wantBody, code string
	}{
		{"T", "B", "T", "B", ""},
		{"T", " ", "T", "T", ""},
		{"", "B", "B", "B", ""},
		{"", "\n", "", "", codeNoText},
		{strings.Repeat("你", 49), strings.Repeat("你", 127), strings.Repeat("你", 49), strings.Repeat("你", 127), ""},
		{strings.Repeat("你", 50), strings.Repeat("你", 128), strings.Repeat("你", 48) + "…", strings.Repeat("你", 126) + "…", ""},
		{strings.Repeat("👍", 25), "B", strings.Repeat("👍", 24) + "…", "B", ""},
	} {
		form, code := c.compose(&vendors.Notification{Channel: vendors.ChannelAlert, Title: tt.title, Body: tt.body}, time.Now())
		if code != tt.code || form.Get("title") != tt.wantTitle || form.Get("description") != tt.wantBody {
			t.Errorf("%.9q, %.9q: %q, %q, %q", tt.title, tt.body, form.Get("title"), form.Get("description"), code)
		}
	}
	n := vendors.Notification{Channel: vendors.ChannelBadge, Title: "T", Badge: 3}
	if _, code := c.compose(&n, time.Now()); code != codeNoChannel {
		t.Errorf("badge alone: %q", code)
	}
	n = vendors.Notification{Channel: vendors.ChannelAlert, Title: "T", Category: strings.Repeat("c", maxExtra)}
	if _, code := c.compose(&n, time.Now()); code != codeTooBig {
		t.Errorf("extras beyond the limit: %q", code)
	}
}

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"": false, "a": true, "k8uROfAMl7PrVsoXt9i6Idv9+/=": true, "a,b": false, "a b": false, "a\n": false, "ä": false,
		strings.Repeat("x", 512): true, strings.Repeat("x", 513): false,
	} {
		if got := ValidToken(token); got != want {
			t.Errorf("%.20q: got %t", token, got)
		}
	}
}
