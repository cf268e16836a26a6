package honor

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/cut"
	"github.com/rouse-im/rouse/vendors/fake"
)

// TestGolden compares a whole body with the file.
func TestGolden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *Config, _ *fake.HonorOptions) { c.ClickAction, c.TestMessages = "com.example.OPEN", true })
		n := r.push()
		n.Title, n.Body = `Ann & "Bob" <3`, "你好 😀"
		n.Badge, n.CollapseID, n.ThreadID = 0, "conv42", "conv42"
		n.ImageURL = "https://pictures.example/1.png"
		got := string(r.took(t, n).Raw)
		want, err := os.ReadFile("testdata/message.json")
		if err != nil {
			t.Fatal(err)
		}
		if got != strings.TrimSuffix(string(want), "\n") {
			t.Errorf("on the wire:\n%s\nwant:\n%s", got, want)
		}
	})
}

func TestBadges(t *testing.T) {
	const none = -1
	for _, c := range []struct {
		name     string
		mode     BadgeMode
		class    string
		badge    int
		add, set int
	}{
		{"unchanged", BadgeSet, class, -1, none, none},
		{"cleared", BadgeSet, class, 0, none, 0},
		{"set", BadgeSet, class, 7, none, 7},
		{"beyond", BadgeSet, class, 100_000, none, 99},
		{"add", BadgeAdd, class, 7, 1, none},
		{"none", BadgeNone, class, 7, none, none},
		{"no class", BadgeSet, "", 7, none, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(config *Config, _ *fake.HonorOptions) { config.Badge, config.BadgeClass = c.mode, c.class })
				n := r.push()
				n.Badge = c.badge
				push := r.took(t, n)
				if strings.Contains(string(push.Raw), "null") {
					t.Errorf("null on the wire: %s", push.Raw)
				}
				b := push.Badge
				if (b != nil) != (c.add != none || c.set != none) {
					t.Fatalf("badge %+v", b)
				}
				if b == nil {
					return
				}
				if number(b.Add) != c.add || number(b.Set) != c.set || b.Class != class {
					t.Errorf("add %d, set %d, class %q; want %d, %d", number(b.Add), number(b.Set), b.Class, c.add, c.set)
				}
			})
		})
	}
}

func number(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

func TestImportance(t *testing.T) {
	for _, c := range []struct {
		class     vendors.Class
		own, want string
	}{
		{vendors.ClassCall, "", "NORMAL"},
		{vendors.ClassIM, "", "NORMAL"},
		{vendors.ClassIM, "some_channel", "NORMAL"},
		{vendors.ClassIM, "low", "LOW"},
		{vendors.ClassSystem, "", "LOW"},
		{vendors.ClassMarketing, "", "LOW"},
		{vendors.ClassMarketing, "NORMAL", "NORMAL"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(config *Config, _ *fake.HonorOptions) { config.SystemImportance = "LOW" })
			n := r.push()
			n.Class, n.Category, n.ImageURL = c.class, c.own, "https://pictures.example/1.png"
			got := r.took(t, n)
			if got.Importance != c.want || (got.Image != "") != (c.want == normal) {
				t.Errorf("class %d, category %q: %s with image %q", c.class, c.own, got.Importance, got.Image)
			}
		})
	}
}

// TestTextUnits: 40 and 256 UTF-16 units, cut between characters.
func TestTextUnits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		n.Title, n.Body = strings.Repeat("你", 41), strings.Repeat("👨‍👩‍👧‍👦", 100)
		got := r.took(t, n)
		if got.Title != strings.Repeat("你", 39)+"…" || got.Body != strings.Repeat("👨‍👩‍👧‍👦", 23)+"…" {
			t.Errorf("title of %d and body of %d units on the wire", cut.UTF16(got.Title), cut.UTF16(got.Body))
		}
		n.Title, n.Body = strings.Repeat("你", 40), strings.Repeat("😀", 128)
		if got = r.took(t, n); got.Title != n.Title || got.Body != n.Body {
			t.Error("texts that fit were cut")
		}
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		n.Expires = time.Now().Add(10_000 * time.Hour)
		if p := r.took(t, n); p.Expires.Sub(p.At) != maxTTL {
			t.Errorf("kept for %v", p.Expires.Sub(p.At))
		}
	})
}

func TestCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.push()
		for _, id := range []string{"a", "a", "b", ""} {
			n.CollapseID = id
			r.took(t, n)
		}
		if d, _ := r.fake.Device(n.Token); len(d.Received) != 4 || len(d.Shown) != 3 {
			t.Errorf("%d received, %d shown; want 4 and 3", len(d.Received), len(d.Shown))
		}
	})
}

func TestOnlyAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for _, channel := range []vendors.Channel{vendors.ChannelVoIP, vendors.ChannelBadge} {
			n := r.push()
			n.Channel = channel
			if res := r.got(t, n); res != (vendors.Result{Outcome: vendors.Rejected, Code: codeNoChannel}) {
				t.Errorf("channel %d: %+v", channel, res)
			}
		}
	})
}
