package huawei

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// TestGolden compares whole bodies with the files.
func TestGolden(t *testing.T) {
	full := func(c *Config, _ *fake.HuaweiOptions) {
		c.ChannelID, c.ClickAction, c.ReceiptID, c.TestMessages = "im", "com.example.OPEN", "RCPT1", true
	}
	for name, api := range map[string]API{"hms": HMS, "harmony": Harmony} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, api, full)
				n := r.push()
				n.Title, n.Body = `Ann & "Bob" <3`, "你好 😀"
				n.Badge, n.CollapseID, n.ThreadID = 0, "conv42", "conv42"
				n.Sound, n.ImageURL = "ding.mp3", "https://pictures.example/1.png"
				got := string(r.took(t, n).Raw)
				want, err := os.ReadFile(filepath.Join("testdata", name+".json"))
				if err != nil {
					t.Fatal(err)
				}
				if got != strings.TrimSuffix(string(want), "\n") {
					t.Errorf("on the wire:\n%s\nwant:\n%s", got, want)
				}
			})
		})
	}
}

func TestBadges(t *testing.T) {
	const none = -1
	for _, c := range []struct {
		name     string
		mode     BadgeMode
		badge    int
		add, set int
	}{
		{"unchanged", BadgeSet, -1, none, none},
		{"cleared", BadgeSet, 0, none, 0},
		{"set", BadgeSet, 7, none, 7},
		{"most", BadgeSet, 99, none, 99},
		{"beyond", BadgeSet, 100_000, none, 99},
		{"add", BadgeAdd, 7, 1, none},
		{"add nothing", BadgeAdd, -1, none, none},
		{"none", BadgeNone, 7, none, none},
	} {
		for _, api := range []API{HMS, Harmony} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, api, func(config *Config, _ *fake.HuaweiOptions) { config.Badge = c.mode })
					n := r.push()
					n.Badge = c.badge
					push := r.took(t, n)
					if strings.Contains(string(push.Raw), "null") {
						t.Errorf("null on the wire: %s", push.Raw)
					}
					b := push.Badge
					if b == nil {
						b = &fake.HuaweiBadge{Class: class}
					}
					if number(b.Add) != c.add || number(b.Set) != c.set || api == HMS && b.Class != class {
						t.Errorf("api %d: add %d, set %d, class %q; want %d, %d", api, number(b.Add), number(b.Set), b.Class, c.add, c.set)
					}
				})
			})
		}
	}
}

func number(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

func TestNoBadgeWithoutClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, HMS, func(c *Config, _ *fake.HuaweiOptions) { c.BadgeClass = "" })
		n := r.push()
		n.Badge = 3
		if b := r.took(t, n).Badge; b != nil {
			t.Errorf("badge %+v without a class, which Huawei refuses", b)
		}
	})
}

func TestHarmonyCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Harmony)
		n := r.push()
		for i, id := range []string{"a", "a", "b", ""} {
			n.CollapseID, n.PushID = id, n.PushID[:35]+string(rune('0'+i))
			r.took(t, n)
		}
		d, _ := r.fake.Device(n.Token)
		if len(d.Received) != 4 || len(d.Shown) != 3 || d.Received[3].NotifyID != nil {
			t.Errorf("%d received, %d shown; want 4 and 3", len(d.Received), len(d.Shown))
		}
		// A repeat has the same push id and is shown once.
		r.took(t, n)
		if d, _ = r.fake.Device(n.Token); len(d.Shown) != 3 {
			t.Errorf("a repeat makes %d shown, want 3", len(d.Shown))
		}
	})
}

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		class                vendors.Class
		own                  string
		category, importance string
		channel              string
	}{
		{vendors.ClassCall, "", "VOIP", "NORMAL", "chan"},
		{vendors.ClassIM, "", "IM", "NORMAL", "chan"},
		{vendors.ClassSystem, "", "WORK", "NORMAL", "chan"},
		{vendors.ClassMarketing, "", "MARKETING", "LOW", "chan"},
		{vendors.ClassIM, "express", "EXPRESS", "NORMAL", "chan"},
		{vendors.ClassIM, "my_channel", "IM", "NORMAL", "my_channel"},
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, api := range []API{HMS, Harmony} {
				r := newRig(t, api, func(config *Config, _ *fake.HuaweiOptions) {
					config.SystemCategory, config.ChannelID = "WORK", "chan"
				})
				n := r.push()
				n.Class, n.Category = c.class, c.own
				got := r.took(t, n)
				if got.Category != c.category || api == HMS && (got.Importance != c.importance || got.Channel != c.channel) {
					t.Errorf("class %d, category %q: %s, %s, %s on the wire", c.class, c.own, got.Category, got.Importance, got.Channel)
				}
			}
		})
	}
}

func TestTTL(t *testing.T) {
	for _, c := range []struct {
		api        API
		class      vendors.Class
		left, want time.Duration
	}{
		{HMS, vendors.ClassIM, time.Hour + time.Millisecond, time.Hour},
		{HMS, vendors.ClassIM, 1000 * time.Hour, maxTTL},
		{HMS, vendors.ClassCall, 20 * time.Second, 20 * time.Second},
		{Harmony, vendors.ClassIM, 1000 * time.Hour, maxTTL},
		{Harmony, vendors.ClassCall, 20 * time.Second, 30 * time.Second},
		{Harmony, vendors.ClassCall, time.Hour, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, c.api)
			n := r.push()
			n.Class, n.Expires = c.class, time.Now().Add(c.left)
			if p := r.took(t, n); p.Expires.Sub(p.At) != c.want {
				t.Errorf("%+v: got %v", c, p.Expires.Sub(p.At))
			}
		})
	}
}

func TestClick(t *testing.T) {
	p := parsed{Config: Config{ClickIntent: "intent://x#Intent;end"}}
	n := &vendors.Notification{Badge: -1}
	if got := string(writeHMS(&p, n, "t", "b", nil, time.Time{})); !strings.Contains(got, `"click_action":{"type":1,"intent":"intent://x#Intent;end"}`) {
		t.Error(got)
	}
	p.ClickIntent = ""
	if got := string(writeHMS(&p, n, "t", "b", nil, time.Time{})); !strings.Contains(got, `"click_action":{"type":3}`) {
		t.Error(got)
	}
	if got := string(writeHarmony(&p, n, "t", "b", nil, time.Time{})); !strings.Contains(got, `"clickAction":{"actionType":0}`) {
		t.Error(got)
	}
}

func TestOnlyAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, HMS)
		for _, channel := range []vendors.Channel{vendors.ChannelVoIP, vendors.ChannelBadge} {
			n := r.push()
			n.Channel = channel
			if res := r.got(t, n); res != (vendors.Result{Outcome: vendors.Rejected, Code: codeNoChannel}) {
				t.Errorf("channel %d: %+v", channel, res)
			}
		}
		if r.fake.Stats().Requests != 0 {
			t.Error("Huawei was asked")
		}
	})
}
