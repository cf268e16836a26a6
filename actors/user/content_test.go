package user

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/content"
	"github.com/rouse-im/rouse/vendors"
)

func templates(pattern map[string]string) *content.Templates {
	var all []*rousev1.Template
	for name, p := range pattern {
		all = append(all, &rousev1.Template{Name: name, Texts: map[string]*rousev1.TemplateText{"": {ContentPattern: p}}})
	}
	return content.NewTemplates(all)
}

// shows is what ann's phone is shown of a message.
func shows(s *State, app *App, m *rousev1.MessageEvent) *vendors.Notification {
	a := &Actor{app: "app", user: "ann"}
	d := &Device{ID: "phone", Info: Info{Lang: "zh-CN"}}
	p := &Pending{Message: "m1", Payload: m, Verdicts: []Verdict{{Device: "phone", Notifier: "fcm"}}}
	return a.notification(s, app, Push{Pending: p}, d, "id", "token")
}

func TestSettingsChooseTheText(t *testing.T) {
	m := &rousev1.MessageEvent{Sender: "bob", Text: "hi", Translations: map[string]string{"zh-CN": "你好", "de": "hallo"}}
	for _, c := range []struct {
		name     string
		settings Settings
		app      *rousev1.AppSettings
		title    string
		body     string
	}{
		{"nothing is set", Settings{}, nil, "您有一条新消息", "请点击查看"},
		{"style of the app", Settings{}, &rousev1.AppSettings{DefaultStyle: rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY}, "您有一条新消息", "bob: 你好"},
		{"style of the user", Settings{Style: rousev1.DisplayStyle_DISPLAY_STYLE_SIMPLE}, &rousev1.AppSettings{DefaultStyle: rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY}, "您有一条新消息", "请点击查看"},
		{"language of the user", Settings{Style: rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY, Lang: "de"}, nil, "Sie haben eine neue Nachricht", "bob: hallo"},
		{"template of the user", Settings{Template: "mine"}, nil, "", "mine: 你好"},
		{"hidden", Settings{Template: "mine", HideContent: true}, nil, "您有一条新消息", "请点击查看"},
		{
			"not heeded",
			Settings{Template: "mine", HideContent: true, Lang: "de", Style: rousev1.DisplayStyle_DISPLAY_STYLE_SIMPLE},
			&rousev1.AppSettings{AdvancedOff: true, DefaultStyle: rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY}, "您有一条新消息", "bob: 你好",
		},
	} {
		app := NewApp(c.app, []*rousev1.Credential{{Name: "fcm"}})
		if !app.AdvancedOff {
			app.Templates = templates(map[string]string{"mine": "mine: {$msg}"})
		}
		if n := shows(&State{Settings: c.settings}, app, m); n.Title != c.title || n.Body != c.body {
			t.Errorf("%s: %q, %q; want %q, %q", c.name, n.Title, n.Body, c.title, c.body)
		}
	}
}

// What is hidden is hidden in all that is shown, and in nothing else.
func TestHiddenContentShowsNothing(t *testing.T) {
	m := &rousev1.MessageEvent{Sender: "bob", Content: &rousev1.Content{
		Title: "SECRET", Subtitle: "SECRET", Body: "SECRET", ImageUrl: "https://x/SECRET.png", Sound: "ring", Data: map[string]string{"e": "{}"},
	}}
	app := NewApp(nil, []*rousev1.Credential{{Name: "fcm"}})
	s := &State{Settings: Settings{HideContent: true}}
	n := shows(s, app, m)
	if strings.Contains(n.Title+n.Subtitle+n.Body+n.ImageURL, "SECRET") || n.Title == "" || n.Sound != "ring" || n.Data["e"] != "{}" {
		t.Errorf("shown: %+v", n)
	}
	m.ShowContent = true
	if n := shows(s, app, m); n.Title != "SECRET" || n.Subtitle != "SECRET" || n.ImageURL == "" {
		t.Errorf("insisted on: %+v", n)
	}
}

// Content given as it is to be shown is shown as it is, whatever the style.
func TestGivenContentIsShownAsItIs(t *testing.T) {
	app := NewApp(nil, []*rousev1.Credential{{Name: "fcm"}})
	app.Templates = templates(nil)
	for _, style := range []rousev1.DisplayStyle{0, rousev1.DisplayStyle_DISPLAY_STYLE_SIMPLE, rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY} {
		m := &rousev1.MessageEvent{Sender: "bob", Content: &rousev1.Content{Body: "{$msg} {0}"}}
		if n := shows(&State{Settings: Settings{Style: style}}, app, m); n.Title != "" || n.Body != "{$msg} {0}" {
			t.Errorf("%s: %q, %q", style, n.Title, n.Body)
		}
	}
	if n := shows(&State{}, app, &rousev1.MessageEvent{}); n.Title != "" || n.Body != "您有一条新消息" {
		t.Errorf("nothing given: %q, %q", n.Title, n.Body)
	}
}

// The outbox holds what a render after a restart needs, and nothing of others.
func TestPayloadIsEnoughAndNoMore(t *testing.T) {
	w := offlinePhone(t)
	w.s.Settings.Lang = "zh-CN"
	w.s.Settings.Style = rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY
	m := &rousev1.MessageEvent{
		MessageId: "m", Recipients: []string{"ann", "carl"}, Sender: "bob", ConversationType: group, ConversationId: "team",
		Text: "hi", Translations: map[string]string{"zh-Hans": "你好", "fr": "salut"}, ContentType: rousev1.ContentType_CONTENT_TYPE_TEXT,
		Mentions: []string{"carl", "ann"}, MentionAll: true, NoMentionText: true, ShowContent: true,
		SenderNickname: "Bob", SenderGroupNickname: "Boss", Template: &rousev1.TemplateUse{Name: "a"},
		DirectedTemplate: &rousev1.DirectedTemplate{Targets: []string{"carl", "ann"}, Template: &rousev1.TemplateUse{Name: "b"}},
		Overrides:        map[string]*rousev1.VendorOverride{"apns": {ThreadId: "t"}, "xiaomi": {ChannelId: "x"}},
		Content:          &rousev1.Content{Title: "t"},
		Ttl:              durationpb.New(time.Minute),
	}
	got := w.do(Message{MessageEvent: m}).Send[0].Pending.Payload
	want := proto.CloneOf(m)
	want.Recipients, want.Mentions, want.DirectedTemplate.Targets = nil, []string{"ann"}, []string{"ann"}
	want.Translations = map[string]string{"zh-CN": "你好"}
	delete(want.Overrides, "xiaomi")
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	v := w.s.viewer(&w.s.Devices[0], w.env.App, "ann")
	set := templates(map[string]string{"b": "{$dynamicFrom} {$msg}"})
	if whole, kept := set.Render(m, &v), set.Render(got, &v); whole != kept {
		t.Errorf("of the message %+v, of what is kept %+v", whole, kept)
	}
}

// An edited message shows the new text, whatever showed the old one.
func TestEditedTextBeatsTemplates(t *testing.T) {
	w := offlinePhone(t)
	w.env.App.Templates = templates(map[string]string{"t": "old", "mine": "{$msg}"})
	p := w.do(Message{MessageEvent: &rousev1.MessageEvent{
		MessageId: "m", Sender: "bob", Text: "old", Template: &rousev1.TemplateUse{Name: "t"}, Translations: map[string]string{"en": "old"},
	}}).Send[0].Pending
	contentEdited{p: p, content: &rousev1.Content{Body: "new"}}.apply(&w.s)
	for _, name := range []string{"", "mine"} {
		if n := shows(&State{Settings: Settings{Template: name}}, w.env.App, p.Payload); n.Body != "new" {
			t.Errorf("template %q: %q", name, n.Body)
		}
	}
}

func TestOverrideOfTheNotifiersVendor(t *testing.T) {
	app := NewApp(nil, []*rousev1.Credential{{Name: "fcm", Vendor: &rousev1.Credential_Xiaomi{Xiaomi: &rousev1.XiaomiCredential{}}}})
	m := &rousev1.MessageEvent{ConversationId: "c", Overrides: map[string]*rousev1.VendorOverride{
		"xiaomi": {
			Category: "c", ChannelId: "ch", ClickAction: "a", Importance: "LOW", NotifyLevel: 2, ReceiptId: "r", NotifyId: 7, Test: true, Public: true,
			MutableContent: true, ContentAvailable: true, ThreadId: "t", AnalyticsLabel: "l",
		},
		"fcm": {ChannelId: "not this"},
	}}
	n := shows(&State{}, app, m)
	want := vendors.Override{
		Category: "c", ChannelID: "ch", ClickAction: "a", Importance: "LOW", NotifyLevel: 2, ReceiptID: "r", NotifyID: 7, Test: true, Public: true,
		MutableContent: true, ContentAvailable: true, AnalyticsLabel: "l",
	}
	if n.Override != want || n.ThreadID != "t" {
		t.Errorf("got %+v in thread %q", n.Override, n.ThreadID)
	}
	delete(m.Overrides, "xiaomi")
	if n := shows(&State{}, app, m); n.Override != (vendors.Override{}) || n.ThreadID != "c" {
		t.Errorf("without one: %+v in thread %q", n.Override, n.ThreadID)
	}
}

// Pushes of a group message that have no part of their own stay equal.
func TestEqualRendersStayEqual(t *testing.T) {
	app := NewApp(nil, []*rousev1.Credential{{Name: "fcm", Coalesce: true}})
	app.Templates = templates(nil)
	m := &rousev1.MessageEvent{Sender: "bob", Text: "hi", ConversationType: group, ConversationId: "team"}
	a, b := shows(&State{Settings: Settings{Style: rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY}}, app, m), shows(&State{Settings: Settings{Style: rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY}}, app, m)
	if !vendors.Alike(a, b) {
		t.Error("equal renders differ")
	}
	if c := shows(&State{}, app, m); vendors.Alike(a, c) {
		t.Error("another style looks the same")
	}
}

// A push is wanted for as long as its message says, or else the app.
func TestLife(t *testing.T) {
	app := &App{TTL: time.Hour}
	for name, c := range map[string]struct {
		p    Pending
		want time.Duration
	}{
		"of the message": {Pending{Message: "m", Payload: &rousev1.MessageEvent{Ttl: durationpb.New(time.Minute)}}, time.Minute},
		"of the app":     {Pending{Message: "m", Payload: &rousev1.MessageEvent{}}, time.Hour},
		"of a badge":     {Pending{Message: refreshMark + "1", Payload: &rousev1.MessageEvent{}}, refreshTTL},
	} {
		// What clocks said of the decision is nothing to it.
		c.p.DecidedAt, c.p.Expires = 0, (7 * time.Hour).Milliseconds()
		if got := c.p.life(app); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
