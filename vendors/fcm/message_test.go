package fcm

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/cut"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

var goldenNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func goldenPush() vendors.Notification {
	return vendors.Notification{
		PushID: "5b0c7d1e-32aa-4f10-8c55-000000000001", Token: "fTok:APA91b",
		Channel: vendors.ChannelAlert, Class: vendors.ClassIM,
		Title: "Ann", Subtitle: "Team", Body: "hi <there> 你好", Sound: "default",
		ImageURL: "https://img.example/1.png", Category: "", ThreadID: "conv42", CollapseID: "c42",
		Badge: 7, Data: map[string]string{"m": "m1", "from": "ann", "x_from": "taken", "google.x": "1", "gcm.n": "2"},
		Expires: goldenNow.Add(90*time.Second + 500*time.Millisecond),
	}
}

func TestGoldenRequests(t *testing.T) {
	for name, change := range map[string]func(*vendors.Notification, *style){
		"alert":     func(*vendors.Notification, *style) {},
		"data_only": func(_ *vendors.Notification, s *style) { s.dataOnly = true },
		"badge":     func(n *vendors.Notification, _ *style) { n.Channel = vendors.ChannelBadge },
		"call":      func(n *vendors.Notification, _ *style) { n.Channel, n.Class = vendors.ChannelVoIP, vendors.ClassCall },
		"marketing": func(n *vendors.Notification, _ *style) {
			n.Class, n.Category, n.Badge, n.ImageURL = vendors.ClassMarketing, "promo", -1, ""
			n.Expires = goldenNow.Add(90 * 24 * time.Hour)
		},
		"bare": func(n *vendors.Notification, s *style) {
			*s = style{}
			*n = vendors.Notification{PushID: "p", Token: "t", Channel: vendors.ChannelAlert, Title: "T", Badge: 0, Expires: goldenNow.Add(-time.Hour)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, s := goldenPush(), style{channel: "im"}
			change(&n, &s)
			kept := maps.Clone(n.Data)
			m, ok := s.fit(&n, goldenNow)
			if !ok {
				t.Fatal("does not fit")
			}
			if diff := cmp.Diff(kept, n.Data); diff != "" {
				t.Errorf("the notification changed: %s", diff)
			}
			raw, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, raw, "", "  "); err != nil {
				t.Fatal(err)
			}
			got.WriteByte('\n')
			vendortest.Golden(t, filepath.Join("testdata", name+".json"), got.String())
		})
	}
}

func TestFitCutsBetweenCharacters(t *testing.T) {
	const family = "👨‍👩‍👧‍👦"
	n := goldenPush()
	n.Body = strings.Repeat(family, 500)
	for _, s := range []style{{}, {dataOnly: true}} {
		m, ok := s.fit(&n, goldenNow)
		if !ok {
			t.Fatal("does not fit")
		}
		body := m.APNS.Payload.Aps.Alert.Body
		if kept := strings.TrimSuffix(body, cut.Ellipsis); kept == body || strings.ReplaceAll(kept, family, "") != "" {
			t.Errorf("cut within a character: ends in %q", body[max(0, len(body)-40):])
		}
		if size := payload(m); size > maxPayload || size < maxPayload-2*len(family)-8 && !s.dataOnly {
			t.Errorf("%d bytes of %d used", size, maxPayload)
		}
	}
	n.Data = map[string]string{"m": strings.Repeat("x", 4000)}
	if _, ok := (style{}).fit(&n, goldenNow); ok {
		t.Error("data alone fills the payload, and yet it fits")
	}
}

// TestFit: what fits is within bounds and valid; what does not would not even
// without its texts.
func TestFit(t *testing.T) {
	texts := rapid.OneOf(rapid.StringN(0, 2000, 6000), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 3000), func(b []byte) string { return string(b) }))
	rapid.Check(t, func(t *rapid.T) {
		n := goldenPush()
		n.Title, n.Body = texts.Draw(t, "title"), texts.Draw(t, "body")
		n.Channel = rapid.SampledFrom([]vendors.Channel{vendors.ChannelAlert, vendors.ChannelVoIP, vendors.ChannelBadge}).Draw(t, "channel")
		n.Data = map[string]string{"m": texts.Draw(t, "data")}
		s := style{dataOnly: rapid.Bool().Draw(t, "data-only")}
		m, ok := s.fit(&n, goldenNow)
		if !ok {
			n.Title, n.Body = "", ""
			if payload(s.compose(&n, goldenNow)) <= maxPayload {
				t.Fatal("refused what fits without texts")
			}
			return
		}
		if payload(m) > maxPayload {
			t.Fatalf("%d bytes", payload(m))
		}
		if alert := m.APNS.Payload.Aps.Alert; alert != nil && utf8.ValidString(n.Body) && !utf8.ValidString(alert.Body) {
			t.Fatal("the cut broke a character")
		}
	})
}

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"": false, "a": true, "fTok:APA91b_-x": true, "cQ3-Zt0kR8_uYw1aXn5vBe": true, "a b": false, "a\n": false, "ä": false,
		strings.Repeat("x", 4096): true, strings.Repeat("x", 4097): false,
	} {
		if got := ValidToken(token); got != want {
			t.Errorf("%.20q: got %t", token, got)
		}
	}
}
