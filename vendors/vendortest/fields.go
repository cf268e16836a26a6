package vendortest

import (
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rivo/uniseg"

	"github.com/rouse-im/rouse/vendors"
)

func testFields(t *testing.T, p *probe) {
	n := p.push()
	n.Subtitle, n.Sound, n.ImageURL = "canary-subtitle-11", "default", "https://pictures.example/1.png"
	n.Category, n.ThreadID, n.CollapseID, n.Badge = "im", "conversation-7", "collapse-7", 12
	n.Data["key with \"quotes\""] = "值 😀"
	badge := 12
	want := Push{
		ID: n.PushID, Title: n.Title, Subtitle: n.Subtitle, Body: n.Body, Sound: n.Sound,
		ImageURL: n.ImageURL, Category: n.Category, Thread: n.ThreadID, Group: n.CollapseID,
		Badge: &badge, Expires: n.Expires.Truncate(time.Second),
	}
	for feature, forget := range map[Feature]func(*Push){
		Subtitle:      func(w *Push) { w.Subtitle = "" },
		Sound:         func(w *Push) { w.Sound = "" },
		Image:         func(w *Push) { w.ImageURL = "" },
		Category:      func(w *Push) { w.Category = "" },
		Thread:        func(w *Push) { w.Thread = "" },
		Collapse:      func(w *Push) { w.Group = "" },
		AbsoluteBadge: func(w *Push) { w.Badge = nil },
		PushID:        func(w *Push) { w.ID = "" },
		TTL:           func(w *Push) { w.Expires = time.Time{} },
	} {
		if !p.h.has(feature) {
			forget(&want)
		}
	}
	got := p.accepted(t, n)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Push{}, "Kind", "Add", "Data", "Bytes", "Wire")); diff != "" {
		t.Errorf("on the wire (-want +got):\n%s", diff)
	}
	for key, value := range n.Data {
		if got.Data[key] != value {
			t.Errorf("data %q is %q on the wire, want %q", key, got.Data[key], value)
		}
	}
	if got.Bytes <= 0 || got.Bytes > p.h.MaxBytes {
		t.Errorf("%d bytes, want 1 to %d", got.Bytes, p.h.MaxBytes)
	}
}

func testBare(t *testing.T, p *probe) {
	n := p.push()
	n.Body, n.Data = "", nil
	got := p.accepted(t, n)
	if got.Title != n.Title || got.Body != "" || got.Badge != nil || got.Group != "" || got.Sound != "" || got.ImageURL != "" {
		t.Errorf("on the wire: %+v", got)
	}
}

func testTitleAlone(t *testing.T, p *probe) {
	n := p.push()
	n.Body = ""
	if got := p.accepted(t, n); got.Title != n.Title || got.Body != "" {
		t.Errorf("on the wire: %q and %q", got.Title, got.Body)
	}
}

// testTextAlone: a vendor that wants a title may get the text twice.
func testTextAlone(t *testing.T, p *probe) {
	n := p.push()
	n.Title = ""
	if got := p.accepted(t, n); got.Body != n.Body && got.Title != n.Body || strings.TrimSpace(got.Title) != "" && got.Title != n.Body {
		t.Errorf("on the wire: %q and %q", got.Title, got.Body)
	}
}

func testOddData(t *testing.T, p *probe) {
	n := p.push()
	maps.Copy(n.Data, map[string]string{
		"empty": "", "space": " a  b ", "plus": "1+1=2", "percent": "%41%zz", "json": `{"a":[1,null]}`,
		"lines": "a\nb\r\nc\t", "slash": `\/`, "null": "null", "number": "0123", "键": "值", "emoji": "👨‍👩‍👧‍👦",
	})
	got := p.accepted(t, n)
	for key, value := range n.Data {
		if got.Data[key] != value {
			t.Errorf("data %q is %q on the wire, want %q", key, got.Data[key], value)
		}
	}
}

func testSystemSound(t *testing.T, p *probe) {
	n := p.push()
	n.Sound = "default"
	if got := p.accepted(t, n).Sound; got != "default" {
		t.Errorf("on the wire: %q", got)
	}
}

func testSilence(t *testing.T, p *probe) {
	n := p.push()
	n.Sound = ""
	if got := p.accepted(t, n).Sound; got != "" {
		t.Errorf("on the wire: %q", got)
	}
}

func (h *Harness) clamp(badge int) int {
	if h.MaxBadge > 0 {
		return min(badge, h.MaxBadge)
	}
	return badge
}

func testBadge(t *testing.T, p *probe) {
	for _, badge := range []int{-1, 1, 9} {
		n := p.push()
		n.Badge = badge
		got := p.accepted(t, n).Badge
		if badge < 0 && got != nil || badge >= 0 && (got == nil || *got != badge) {
			t.Errorf("badge %d is %v on the wire", badge, got)
		}
	}
}

func testBadgeBound(t *testing.T, p *probe) {
	for _, badge := range []int{99, 100, 99_999, 1 << 30} {
		n := p.push()
		n.Badge = badge
		if got := p.accepted(t, n).Badge; got == nil || *got != p.h.clamp(badge) {
			t.Errorf("badge %d is %v on the wire, want %d", badge, got, p.h.clamp(badge))
		}
	}
}

// testAddBadge: a badge that only grows does so with what adds to the number,
// and not with what leaves or clears it.
func testAddBadge(t *testing.T, p *probe) {
	for badge, want := range map[int]int{-1: 0, 0: 0, 1: 1, 7: 1, 99_999: 1} {
		n := p.push()
		n.Badge = badge
		if got := p.accepted(t, n); got.Add != want || got.Badge != nil {
			t.Errorf("badge %d adds %d on the wire, want %d", badge, got.Add, want)
		}
	}
}

func testBadgeClear(t *testing.T, p *probe) {
	n := p.push()
	n.Badge = 0
	if got := p.accepted(t, n).Badge; got == nil || *got != 0 {
		t.Errorf("badge 0 is %v on the wire", got)
	}
}

func testBadgeOnly(t *testing.T, p *probe) {
	n := p.push()
	n.Channel, n.Title, n.Body, n.Badge = vendors.ChannelBadge, "", "", 5
	got := p.accepted(t, n)
	if got.Title != "" || got.Body != "" || got.Badge == nil || *got.Badge != 5 {
		t.Errorf("on the wire: %+v", got)
	}
}

func testCollapse(t *testing.T, p *probe) {
	n := p.push()
	n.CollapseID = strings.Repeat("c", 64)
	if got := p.accepted(t, n).Group; got != n.CollapseID {
		t.Errorf("on the wire: %q", got)
	}
}

func testExpiry(t *testing.T, p *probe) {
	for _, ttl := range []time.Duration{time.Second, time.Minute, 24 * time.Hour, 7 * 24 * time.Hour} {
		n := p.push()
		n.Expires = time.Now().Add(ttl)
		if got := p.accepted(t, n).Expires; !got.Equal(n.Expires.Truncate(time.Second)) {
			t.Errorf("in %v: %v on the wire, want %v", ttl, got, n.Expires)
		}
	}
}

// testFarExpiry: the vendor keeps the push as long as it can.
func testFarExpiry(t *testing.T, p *probe) {
	n := p.push()
	n.Expires = time.Now().AddDate(1, 0, 0)
	got := p.accepted(t, n).Expires
	if p.h.has(TTL) && (got.Before(time.Now().Add(7*24*time.Hour)) || got.After(n.Expires)) {
		t.Errorf("in a year: %v on the wire", got)
	}
}

func testExpired(t *testing.T, p *probe) {
	for _, expires := range []time.Time{time.Now().Add(-time.Hour), time.Unix(0, 0), time.Unix(-1, 0)} {
		n := p.push()
		n.Expires = expires
		if got := p.accepted(t, n).Expires; got.After(time.Now()) {
			t.Errorf("expired at %v: kept until %v", expires, got)
		}
	}
}

// longText has characters of one to thirty bytes.
var longText = strings.Repeat("你好，世界 👨‍👩‍👧‍👦 e\u0301 🇨🇳🇸🇪 hello 한국어 ", 300)

func testLongText(t *testing.T, p *probe) {
	for _, long := range []func(*vendors.Notification){
		func(n *vendors.Notification) { n.Body = canaryBody + longText },
		func(n *vendors.Notification) { n.Title, n.Body = canaryTitle+longText, canaryBody+longText },
	} {
		// One byte more each time moves the cut through a whole character.
		for shift := range 32 {
			n := p.push()
			long(n)
			n.Data["shift"] = strings.Repeat("x", shift)
			got := p.accepted(t, n)
			checkCut(t, "title", n.Title, got.Title)
			checkCut(t, "body", n.Body, got.Body)
			if got.Bytes > p.h.MaxBytes || got.Bytes < p.h.MaxBytes*3/4 {
				t.Fatalf("%d bytes, want at most %d and most of them used", got.Bytes, p.h.MaxBytes)
			}
		}
	}
}

// checkCut demands whole characters from the start of text.
func checkCut(t *testing.T, what, text, got string) {
	t.Helper()
	if got == text || got == "" {
		return
	}
	kept, marked := strings.CutSuffix(got, "…")
	if !marked || !utf8.ValidString(got) || !strings.HasPrefix(text, kept) {
		t.Fatalf("the %s was not cut but changed: ends in %q", what, tail(got))
	}
	whole, state, rest := 0, -1, text
	for whole < len(kept) {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		whole += len(cluster)
	}
	if whole != len(kept) {
		t.Fatalf("the %s was cut within a character: ends in %q", what, tail(got))
	}
}

func tail(s string) string { return s[max(0, len(s)-24):] }

func testHostileText(t *testing.T, p *probe) {
	for _, text := range []string{
		"\x00\x01\x1f\"\\/<>&\u2028\u2029\t\r\n", "\xff\xfe\xc3\x28", "\u202e\u200b\ufeff", "\U0010ffff",
		// One character without an end.
		"a" + strings.Repeat("\u0301", 1),
	} {
		for _, times := range []int{1, 5000} {
			n := p.push()
			n.Body = strings.Repeat(text, times)
			got := p.accepted(t, n)
			if got.Bytes > p.h.MaxBytes || !utf8.ValidString(got.Body) {
				t.Errorf("%d × %q: %d bytes, valid %t", times, text, got.Bytes, utf8.ValidString(got.Body))
			}
		}
	}
}

// testEndlessCharacter: not even one character fits.
func testEndlessCharacter(t *testing.T, p *probe) {
	n := p.push()
	n.Body = "a" + strings.Repeat("\u0301", 10_000)
	if got := p.accepted(t, n); got.Bytes > p.h.MaxBytes || !utf8.ValidString(got.Body) {
		t.Errorf("%d bytes", got.Bytes)
	}
}

func testHugeData(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	requests := p.Requests()
	n := p.push()
	n.Data["big"] = strings.Repeat("x", p.h.MaxBytes)
	res, err := p.send(t.Context(), n)
	if err != nil || res.Outcome != vendors.Rejected || p.Requests() != requests {
		t.Errorf("got %+v, %v after %d requests; want rejected without asking", res, err, p.Requests()-requests)
	}
}

func testReservedData(t *testing.T, p *probe) {
	n := p.push()
	for _, key := range []string{
		"aps", "from", "to", "token", "data", "notification", "message_type", "collapse_key",
		"google.x", "google.c.a.e", "gcm.x", "gcm.notification.title", "image", "title", "badge", "",
	} {
		n.Data[key] = "mine"
	}
	got := p.accepted(t, n)
	if got.Title != n.Title || got.Body != n.Body || got.Data["m"] != n.Data["m"] {
		t.Errorf("on the wire: %+v", got)
	}
}

func testUnchanged(t *testing.T, p *probe) {
	n := p.push()
	n.Body, n.CollapseID, n.Data["aps"] = longText, "c", "mine"
	before := *n
	before.Data = maps.Clone(n.Data)
	p.accepted(t, n)
	if diff := cmp.Diff(&before, n); diff != "" {
		t.Errorf("Send changed the notification (-before +after):\n%s", diff)
	}
}

func testDeadToken(t *testing.T, p *probe) {
	n := p.push()
	p.accepted(t, n)
	since := time.Now().Add(-time.Hour).Truncate(time.Second)
	p.Kill(n.Token, since)
	res, err := p.send(t.Context(), n)
	if err != nil || res.Outcome != vendors.TokenInvalid || res.Code == "" {
		t.Fatalf("got %+v, %v", res, err)
	}
	if p.h.has(InvalidSince) && !res.InvalidSince.Equal(since) || !p.h.has(InvalidSince) && !res.InvalidSince.IsZero() {
		t.Errorf("invalid since %v, want %v", res.InvalidSince, since)
	}
	p.accepted(t, p.push())
}

// testDeadAmongLive: one dead token is no reason to doubt others.
func testDeadAmongLive(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	pushes := p.pushes(20)
	for i, n := range pushes {
		if i%2 == 0 {
			p.Kill(n.Token, time.Now())
		}
	}
	results, errs := p.sendAll(within(t), pushes)
	for i, res := range results {
		want := vendors.Accepted
		if i%2 == 0 {
			want = vendors.TokenInvalid
		}
		if errs[i] != nil || res.Outcome != want {
			t.Errorf("push %d: %+v, %v; want %s", i, res, errs[i], want)
		}
	}
}

// testForeignChannel: what a vendor has no channel for is refused at once, and
// nothing else is shown in its place.
func testForeignChannel(t *testing.T, p *probe) {
	for channel, feature := range map[vendors.Channel]Feature{vendors.ChannelBadge: BadgeOnly, vendors.ChannelVoIP: VoIP} {
		if p.h.has(feature) {
			continue
		}
		n := p.push()
		n.Channel, n.Badge = channel, 3
		res, err := p.send(t.Context(), n)
		if err != nil || res.Outcome != vendors.Rejected || res.Code == "" || p.Requests() != 0 {
			t.Errorf("channel %d: %+v, %v after %d requests", channel, res, err, p.Requests())
		}
	}
}

func testRepeat(t *testing.T, p *probe) {
	n := p.push()
	p.accepted(t, n)
	p.Faults.Script(p.h.Answers[Unavailable].Fault)
	if res, err := p.send(t.Context(), n); err != nil || res.Outcome == vendors.Accepted {
		t.Fatalf("got %+v, %v", res, err)
	}
	p.Faults.Clear()
	p.accepted(t, n)
	for _, seen := range p.Seen(n.Token) {
		if seen.ID != n.PushID {
			t.Errorf("the vendor took id %q, want %q each time", seen.ID, n.PushID)
		}
	}
}
