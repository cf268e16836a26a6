package meizu

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

// TestSign: the README's own example, and one with several ids.
func TestSign(t *testing.T) {
	for want, tt := range map[string]struct{ appID, ids, message, secret string }{
		"ac076ff25d9900015a681cb5172aa53b": {
			"10000", "RA50c6348036344485d01776773577c64740465480a6b",
			`{"title":"title","content":"content","pushTimeInfo":{"offLine":1,"validTime":24}}`, "<APP_SECRET>",
		},
		"7d9a0c55831fc60341e13d27ed83893c": {
			"100999", "id1,id2", `{"noticeBarInfo":{"title":"t","content":"c"}}`, "app-secret-1",
		},
	} {
		form := url.Values{"appId": {tt.appID}, "pushIds": {tt.ids}, "messageJson": {tt.message}}
		sign(form, tt.secret)
		sign(form, tt.secret) // a signature is not signed
		if got := form.Get("sign"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestGoldenRequests: the bytes of the request, with a line for each field, and
// messageJson as it is signed.
func TestGoldenRequests(t *testing.T) {
	for name, change := range map[string]func(*vendors.Notification, *Config){
		"alert": func(*vendors.Notification, *Config) {},
		"bare": func(n *vendors.Notification, _ *Config) {
			*n = vendors.Notification{PushID: n.PushID, Token: n.Token, Channel: vendors.ChannelAlert, Title: "T", Badge: 0, Expires: n.Expires}
		},
		"marketing": func(n *vendors.Notification, _ *Config) {
			n.Class, n.Expires = vendors.ClassMarketing, n.Expires.AddDate(1, 0, 0)
		},
		"activity": func(n *vendors.Notification, c *Config) {
			c.Activity, n.CollapseID = "com.example.im.Chat", ""
		},
		"expired": func(n *vendors.Notification, _ *Config) { n.Expires = n.Expires.AddDate(-1, 0, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := goldenPush()
				r := newRig(t, func(c *Config, _ *fake.MeizuOptions) { change(&n, c) })
				r.fake.AddDevice(n.Token)
				if res, err := r.Send(t.Context(), &n); err != nil || res.Outcome != vendors.Accepted {
					t.Fatalf("%+v, %v", res, err)
				}
				p := r.took(t, n.Token)
				got := strings.ReplaceAll(string(p.Raw), "&", "&\n") + "\n\n" + p.Message + "\n"
				vendortest.Golden(t, filepath.Join("testdata", name+".form"), got)
			})
		})
	}
}

func goldenPush() vendors.Notification {
	return vendors.Notification{
		PushID: "5b0c7d1e-32aa-4f10-8c55-000000000001", Token: "RA50c6348036344485d0",
		Channel: vendors.ChannelAlert, Class: vendors.ClassIM,
		Title: "Ann", Subtitle: "Team", Body: "hi <there> & 你好 👍", Sound: "default",
		ImageURL: "https://img.example/1.png", ThreadID: "conv42", CollapseID: "c42",
		Badge: 7, Data: map[string]string{"m": "m1", "k": "a&b=c"},
		Expires: time.Date(2000, 1, 1, 0, 1, 30, 0, time.UTC), // the bubble begins at midnight
	}
}

func TestMsgType(t *testing.T) {
	for _, tt := range []struct {
		class    vendors.Class
		category string
		want     int
	}{
		{vendors.ClassCall, "", msgPrivate},
		{vendors.ClassIM, "", msgPrivate},
		{vendors.ClassSystem, "", msgPrivate},
		{vendors.ClassMarketing, "", msgPublic},
		{vendors.ClassIM, "public", msgPublic},
		{vendors.ClassMarketing, "private", msgPrivate},
		{vendors.ClassMarketing, "channel-of-another-vendor", msgPublic},
	} {
		if got := msgType(&vendors.Notification{Class: tt.class, Category: tt.category}); got != tt.want {
			t.Errorf("%d %q: %d, want %d", tt.class, tt.category, got, tt.want)
		}
	}
}

func TestKeepUntil(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]keep{
		-time.Hour:               {0, 0},
		0:                        {0, 0},
		time.Nanosecond:          {1, 1},
		time.Hour:                {1, 1},
		time.Hour + time.Second:  {1, 2},
		72 * time.Hour:           {1, 72},
		1000 * 24 * time.Hour:    {1, 72},
		time.Duration(1<<63 - 1): {1, 72},
	} {
		if got := keepUntil(now.Add(left), now); got != want {
			t.Errorf("%v: %+v, want %+v", left, got, want)
		}
	}
}

// TestShown: the phone replaces by collapse id, stacks without one, and folds
// the sixth of a minute, which counts as taken.
func TestShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		token := r.token()
		for _, step := range []struct {
			collapse, code string
			shown          int
		}{{"", "", 1}, {"", "", 2}, {"c", "", 3}, {"c", "", 3}, {"d", "", 4}, {"e", "520", 4}} {
			n := r.push()
			n.Token, n.CollapseID = token, step.collapse
			res, err := r.Send(t.Context(), n)
			if err != nil || res.Outcome != vendors.Accepted || res.Code != step.code || res.VendorID == "" {
				t.Fatalf("%+v, %v", res, err)
			}
			if d, _ := r.fake.Device(token); len(d.Shown) != step.shown {
				t.Errorf("after %q: %d shown, want %d", step.collapse, len(d.Shown), step.shown)
			}
		}
	})
}

// TestSwitchedOff: a phone that shows nothing keeps its token.
func TestSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		r.fake.SwitchOff(n.Token)
		if res, err := r.Send(t.Context(), n); err != nil || res != (vendors.Result{Outcome: vendors.Rejected, Code: "110010"}) {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

func TestTexts(t *testing.T) {
	c := testConfig(t)
	for _, tt := range []struct {
		title, body, wantTitle, wantContent, code string
	}{
		{"T", "B", "T", "B", ""},
		{"T", " ", "T", "T", ""},
		{"", "B", "B", "B", ""},
		{"", "\n", "", "", codeNoText},
		{strings.Repeat("你", 32), strings.Repeat("你", 100), strings.Repeat("你", 32), strings.Repeat("你", 100), ""},
		{strings.Repeat("你", 33), strings.Repeat("你", 101), strings.Repeat("你", 31) + "…", strings.Repeat("你", 99) + "…", ""},
		{strings.Repeat("👍", 17), "B", strings.Repeat("👍", 15) + "…", "B", ""},
	} {
		message, code := c.compose(&vendors.Notification{Channel: vendors.ChannelAlert, Title: tt.title, Body: tt.body}, time.Now())
		want := `"title":"` + tt.wantTitle + `","content":"` + tt.wantContent + `"}`
		if code != tt.code || code == "" && !strings.Contains(message, want) {
			t.Errorf("%.9q, %.9q: %q, %q", tt.title, tt.body, message, code)
		}
	}
	n := vendors.Notification{Channel: vendors.ChannelBadge, Title: "T", Badge: 3}
	if _, code := c.compose(&n, time.Now()); code != codeNoChannel {
		t.Errorf("badge alone: %q", code)
	}
}

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"": false, "a": true, "RA50c6348036344485d01776773577c64740465480a6b": true, "a,b": false, "a b": false, "ä": false,
		strings.Repeat("x", 256): true, strings.Repeat("x", 257): false,
	} {
		if got := ValidToken(token); got != want {
			t.Errorf("%.20q: got %t", token, got)
		}
	}
}
