package user

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	unset       = rousev1.NotifyMode_NOTIFY_MODE_UNSPECIFIED
	all         = rousev1.NotifyMode_NOTIFY_MODE_ALL
	mentionOnly = rousev1.NotifyMode_NOTIFY_MODE_MENTION_ONLY
	none        = rousev1.NotifyMode_NOTIFY_MODE_NONE
	meOnly      = rousev1.NotifyMode_NOTIFY_MODE_MENTION_ME_ONLY
	allOnly     = rousev1.NotifyMode_NOTIFY_MODE_MENTION_ALL_ONLY
	managers    = rousev1.NotifyMode_NOTIFY_MODE_MANAGERS_ONLY

	direct = rousev1.ConversationType_CONVERSATION_TYPE_DIRECT
	group  = rousev1.ConversationType_CONVERSATION_TYPE_GROUP
)

func (w *world) settings(u *rousev1.UserSettings, paths ...string) Decision {
	w.t.Helper()
	r := &rousev1.SetUserSettingsRequest{UserId: "ann", Settings: u}
	if len(paths) > 0 {
		r.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
	}
	return w.do(r)
}

func (w *world) quietFor(d time.Duration) Decision {
	w.t.Helper()
	return w.do(&rousev1.SetUserSettingsRequest{UserId: "ann", QuietFor: durationpb.New(d)})
}

func (w *world) conversation(id string, mode rousev1.NotifyMode, d time.Duration) Decision {
	w.t.Helper()
	r := &rousev1.SetConversationSettingsRequest{UserId: "ann", Conversation: &rousev1.ConversationRef{Type: group, Id: id}, Mode: mode.Enum()}
	if d >= 0 {
		r.QuietFor = durationpb.New(d)
	}
	return w.do(r)
}

// window of hours and minutes, as "22:00-08:00".
func window(text string) *rousev1.QuietWindow {
	var h1, m1, h2, m2 uint32
	if _, err := fmt.Sscanf(text, "%d:%d-%d:%d", &h1, &m1, &h2, &m2); err != nil {
		panic(err)
	}
	return &rousev1.QuietWindow{StartMinute: h1*60 + m1, EndMinute: h2*60 + m2}
}

// verdict of a message for the phone: "pushed", or why not.
func (w *world) verdict(edit func(*rousev1.MessageEvent)) string {
	w.t.Helper()
	_, got := w.message(func(m *rousev1.MessageEvent) {
		m.ConversationType, m.ConversationId = group, "team"
		if edit != nil {
			edit(m)
		}
	})
	if got["phone>apns"] == "QUEUED" {
		return "pushed"
	}
	return got["phone>"]
}

func mentions(users ...string) func(*rousev1.MessageEvent) {
	return func(m *rousev1.MessageEvent) { m.Mentions = users }
}

// The vectors of the specification for ignore, force, quiet times and modes.
func TestWishVectors(t *testing.T) {
	quietNow := func(w *world) { w.quietFor(time.Hour) }
	user := func(m rousev1.NotifyMode) func(*world) {
		return func(w *world) { w.settings(&rousev1.UserSettings{Mode: m}) }
	}
	conversation := func(m rousev1.NotifyMode) func(*world) {
		return func(w *world) { w.conversation("team", m, -1) }
	}
	at := func(clock, windows string) func(*world) {
		return func(w *world) {
			w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{window(windows)}})
			w.env.Now, _ = time.Parse(time.DateTime, "2026-03-02 "+clock)
		}
	}
	for _, v := range []struct {
		n             string
		set           []func(*world)
		ignore, force bool
		mentioned     bool
		want          string
	}{
		{n: "1 default ALL", want: "pushed"},
		{n: "2 ignore", set: []func(*world){conversation(all), user(all)}, ignore: true, mentioned: true, want: "IGNORED_BY_SENDER"},
		{n: "3 ignore beats force", set: []func(*world){conversation(all), user(all)}, ignore: true, force: true, mentioned: true, want: "IGNORED_BY_SENDER"},
		{n: "4 quiet beats a mention", set: []func(*world){conversation(all), user(all), quietNow}, mentioned: true, want: "QUIET_DURATION"},
		{n: "5 force beats quiet", set: []func(*world){conversation(all), user(all), quietNow}, force: true, want: "pushed"},
		{n: "6 the conversation is quiet", set: []func(*world){user(all), func(w *world) { w.conversation("team", all, time.Hour) }}, want: "QUIET_CONVERSATION"},
		{n: "6 other conversations are not", set: []func(*world){user(all), func(w *world) { w.conversation("other", all, time.Hour) }}, want: "pushed"},
		{n: "7 conversation beats user", set: []func(*world){conversation(all), user(mentionOnly)}, want: "pushed"},
		{n: "8 mention only", set: []func(*world){user(mentionOnly)}, want: "MODE_MENTION"},
		{n: "9 mention only, mentioned", set: []func(*world){user(mentionOnly)}, mentioned: true, want: "pushed"},
		{n: "10 none", set: []func(*world){conversation(none), user(all)}, mentioned: true, want: "MODE_NONE"},
		{n: "11 conversation beats none", set: []func(*world){conversation(all), user(none)}, want: "pushed"},
		{n: "12 force beats the mode", set: []func(*world){conversation(none), user(all)}, force: true, want: "pushed"},
		{n: "12 force of quiet times alone", set: []func(*world){conversation(none), user(all), func(w *world) { w.env.App.ForceScope = rousev1.ForceScope_FORCE_SCOPE_QUIET }}, force: true, want: "MODE_NONE"},
		{n: "13 inherited", set: []func(*world){conversation(unset), user(none)}, want: "MODE_NONE"},
		{n: "14 set within the window", set: []func(*world){at("11:30:00", "08:00-12:00")}, want: "QUIET_WINDOW"},
		{n: "15 a minute before the end", set: []func(*world){at("07:59:59", "22:00-08:00")}, want: "QUIET_WINDOW"},
		{n: "15 at the end", set: []func(*world){at("08:00:00", "22:00-08:00")}, want: "pushed"},
		{n: "16 00:00-00:00 is none", set: []func(*world){at("11:30:00", "00:00-00:00")}, want: "pushed"},
		{n: "17 whole day", set: []func(*world){func(w *world) {
			x := window("09:00-09:00")
			x.WholeDay = true
			w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{x}})
		}}, want: "QUIET_WINDOW"},
		{n: "18 a duration of nothing", set: []func(*world){func(w *world) { w.quietFor(0) }}, want: "pushed"},
	} {
		t.Run(v.n, func(t *testing.T) {
			w := offlinePhone(t)
			for _, set := range v.set {
				set(w)
			}
			edit := func(m *rousev1.MessageEvent) {
				m.IgnorePush, m.ForcePush = v.ignore, v.force
				if v.mentioned {
					m.Mentions = []string{"bob", "ann"}
				}
			}
			if got := w.verdict(edit); got != v.want {
				t.Errorf("%s, want %s", got, v.want)
			}
			if n := w.s.Devices[0].Count; n != 1 {
				t.Errorf("the offline count is %d: silence must not change it", n)
			}
		})
	}
	t.Run("9 mention only, all mentioned", func(t *testing.T) {
		w := offlinePhone(t)
		user(mentionOnly)(w)
		if got := w.verdict(func(m *rousev1.MessageEvent) { m.MentionAll = true }); got != "pushed" {
			t.Error(got)
		}
	})
}

// The vectors of the specification for several devices.
func TestMultiDeviceVectors(t *testing.T) {
	anyOf := &rousev1.AppSettings{DevicePolicy: &rousev1.DevicePolicy{Policy: rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ANY_OFFLINE}}
	devices := func(t *testing.T, s *rousev1.AppSettings, states map[string]rousev1.SessionState) map[string]string {
		w := newWorld(t, s)
		for _, id := range []string{"new phone", "pc", "phone", "tablet"} {
			st, ok := states[id]
			if !ok {
				continue
			}
			if id != "pc" {
				w.bind(id, "apns", id)
			}
			w.session(id, st)
		}
		_, got := w.message(nil)
		return got
	}
	for _, s := range []*rousev1.AppSettings{nil, anyOf} {
		expect(t, devices(t, s, map[string]rousev1.SessionState{"phone": disconnected, "tablet": disconnected}),
			map[string]string{"phone>apns": "QUEUED", "tablet>apns": "QUEUED"})
		expect(t, devices(t, s, map[string]rousev1.SessionState{"phone": kicked, "new phone": disconnected}),
			map[string]string{"phone>": "KICKED", "new phone>apns": "QUEUED"})
		expect(t, devices(t, s, map[string]rousev1.SessionState{"phone": loggedOut}), map[string]string{"phone>apns": "QUEUED"})
		expect(t, devices(t, s, map[string]rousev1.SessionState{"phone": background}), map[string]string{"phone>": "DEVICE_ONLINE"})
	}
	pc := map[string]rousev1.SessionState{"phone": disconnected, "pc": connected}
	expect(t, devices(t, nil, pc), map[string]string{"phone>": "USER_ONLINE", "pc>": "DEVICE_ONLINE"})
	expect(t, devices(t, anyOf, pc), map[string]string{"phone>apns": "QUEUED", "pc>": "DEVICE_ONLINE"})
}

// Steps 14-18 come before 19-24: a device that cannot be woken says so.
func TestStep18BeforeStep20(t *testing.T) {
	w := offlinePhone(t)
	w.bind("tablet", "fcm", "bb")
	w.session("tablet", kicked)
	w.session("desk", disconnected)
	w.quietFor(time.Hour)
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>": "QUIET_DURATION", "tablet>": "KICKED", "desk>": "NO_BINDING"})
}

// Step 24 comes before 25.
func TestStep24BeforeStep25(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{Mode: none})
	_, got := w.message(func(m *rousev1.MessageEvent) { m.Filter = &rousev1.DeviceFilter{IgnoreDeviceIds: []string{"phone"}} })
	expect(t, got, map[string]string{"phone>": "MODE_NONE"})
}

// Row 31: a mode for all conversations and for each; each beats all, and may
// be taken back.
func TestRow31ModesByConversation(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{Mode: none})
	w.conversation("team", all, -1)
	if got := w.verdict(nil); got != "pushed" {
		t.Error(got)
	}
	w.conversation("team", unset, -1)
	if got := w.verdict(nil); got != "MODE_NONE" {
		t.Error(got)
	}
	if len(w.kept) != 0 || w.s.Conversations != 0 {
		t.Errorf("%d conversations are kept, counted %d", len(w.kept), w.s.Conversations)
	}
	// 1:1 conversations have modes too, under the peer's name.
	w.do(&rousev1.SetConversationSettingsRequest{UserId: "ann", Conversation: &rousev1.ConversationRef{Type: direct, Id: "bob"}, Mode: all.Enum()})
	for _, id := range []string{"bob", "ann", ""} { // as IM nodes may name it
		if got := w.verdict(func(m *rousev1.MessageEvent) { m.ConversationType, m.ConversationId = direct, id }); got != "pushed" {
			t.Errorf("conversation %q: %s", id, got)
		}
	}
	if got := w.verdict(func(m *rousev1.MessageEvent) { m.ConversationType, m.ConversationId = group, "bob" }); got != "MODE_NONE" {
		t.Errorf("a group of the same name: %s", got)
	}
}

// Row 33: who is mentioned, by name or all.
func TestRow33Mentions(t *testing.T) {
	for mode, want := range map[rousev1.NotifyMode][4]string{ // nobody, another, ann, all
		all:         {"pushed", "pushed", "pushed", "pushed"},
		mentionOnly: {"MODE_MENTION", "MODE_MENTION", "pushed", "pushed"},
		meOnly:      {"MODE_MENTION", "MODE_MENTION", "pushed", "MODE_MENTION"},
		allOnly:     {"MODE_MENTION", "MODE_MENTION", "MODE_MENTION", "pushed"},
		none:        {"MODE_NONE", "MODE_NONE", "MODE_NONE", "MODE_NONE"},
		managers:    {"MODE_MANAGERS", "MODE_MANAGERS", "MODE_MANAGERS", "MODE_MANAGERS"},
	} {
		w := offlinePhone(t)
		w.settings(&rousev1.UserSettings{Mode: mode})
		for i, edit := range []func(*rousev1.MessageEvent){nil, mentions("cid"), mentions("cid", "ann"), func(m *rousev1.MessageEvent) { m.MentionAll = true }} {
			if got := w.verdict(edit); got != want[i] {
				t.Errorf("%v, %d: %s, want %s", mode, i, got, want[i])
			}
		}
		if mode == managers {
			if got := w.verdict(func(m *rousev1.MessageEvent) { m.SenderIsManager = true }); got != "pushed" {
				t.Errorf("a manager: %s", got)
			}
		}
	}
}

// Row 34: windows cross midnight, and hold at once when set within.
func TestRow34Window(t *testing.T) {
	w := offlinePhone(t)
	w.env.Now = time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC)
	w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{window("08:00-12:00")}})
	clock := func(day, hh, mm int) { w.env.Now = time.Date(2026, 3, day, hh, mm, 0, 0, time.UTC) }
	for _, tc := range []struct {
		day, hh, mm int
		want        string
	}{{2, 11, 1, "QUIET_WINDOW"}, {2, 12, 0, "pushed"}, {3, 7, 59, "pushed"}, {3, 8, 0, "QUIET_WINDOW"}} {
		clock(tc.day, tc.hh, tc.mm)
		if got := w.verdict(nil); got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
	w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{window("22:00-08:00")}}) // takes the old one's place
	clock(3, 8, 0)
	if got := w.verdict(nil); got != "pushed" {
		t.Error(got)
	}
	w.settings(&rousev1.UserSettings{})
	clock(3, 23, 0)
	if got := w.verdict(nil); got != "pushed" {
		t.Error(got)
	}
}

// Row 35: a duration of at most 7 days, once, from now on; its end is told.
func TestRow35Duration(t *testing.T) {
	w := offlinePhone(t)
	d := w.quietFor(7 * 24 * time.Hour)
	if got := d.Reply.Response.(*rousev1.SetUserSettingsResponse).GetSettings().GetQuietUntil().AsTime(); !got.Equal(t0.Add(7 * 24 * time.Hour)) {
		t.Errorf("quiet until %v", got)
	}
	w.env.Now = t0.Add(7*24*time.Hour - time.Millisecond)
	if got := w.verdict(nil); got != "QUIET_DURATION" {
		t.Error(got)
	}
	w.env.Now = t0.Add(7 * 24 * time.Hour)
	if got := w.verdict(nil); got != "pushed" {
		t.Error(got)
	}
	w.quietFor(time.Hour)
	d = w.quietFor(0)
	if got := w.verdict(nil); got != "pushed" || d.Reply.Response.(*rousev1.SetUserSettingsResponse).GetSettings().GetQuietUntil() != nil {
		t.Errorf("after the end was told: %s", got)
	}
}

// Row 36: both together are the union.
func TestRow36Union(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{window("12:30-13:00"), window("12:45-13:30")}})
	w.quietFor(10 * time.Minute) // from 12:00 on
	w.conversation("team", unset, 20*time.Minute)
	for minute, want := range map[int]string{
		9: "QUIET_DURATION", 10: "QUIET_CONVERSATION", 19: "QUIET_CONVERSATION", 20: "pushed", 29: "pushed",
		30: "QUIET_WINDOW", 59: "QUIET_WINDOW", 89: "QUIET_WINDOW", 90: "pushed",
	} {
		w.env.Now = t0.Add(time.Duration(minute) * time.Minute)
		m := &rousev1.MessageEvent{MessageId: "m", Sender: "bob", ConversationType: group, ConversationId: "team"}
		got := strings.TrimPrefix(w.explain(Message{MessageEvent: m}).GetDevices()[0].GetOutcome().GetReason().String(), "REASON_")
		if got != strings.Replace(want, "pushed", "QUEUED", 1) {
			t.Errorf("minute %d: %s, want %s", minute, got, want)
		}
	}
}

// Row 37: quiet times beat modes, and a quiet conversation is quiet alone.
func TestRow37QuietBeatsMode(t *testing.T) {
	w := offlinePhone(t)
	w.conversation("team", all, time.Hour)
	if got := w.verdict(nil); got != "QUIET_CONVERSATION" {
		t.Error(got)
	}
	if got := w.verdict(func(m *rousev1.MessageEvent) { m.ConversationId = "other" }); got != "pushed" {
		t.Error(got)
	}
	w.settings(&rousev1.UserSettings{Mode: none, Windows: []*rousev1.QuietWindow{window("11:00-13:00")}})
	if got := w.verdict(nil); got != "QUIET_WINDOW" {
		t.Error(got)
	}
}

// Row 38: a mention does not break quiet times, unless the window lets it.
func TestRow38MentionInQuiet(t *testing.T) {
	w := offlinePhone(t)
	x := window("11:00-13:00")
	w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{x}})
	everybody := func(m *rousev1.MessageEvent) { m.MentionAll = true }
	if got := w.verdict(mentions("ann")); got != "QUIET_WINDOW" {
		t.Error(got)
	}
	x.MentionsPass = true
	w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{x}})
	if a, b, c := w.verdict(mentions("ann")), w.verdict(everybody), w.verdict(nil); a != "pushed" || b != "pushed" || c != "QUIET_WINDOW" {
		t.Error(a, b, c)
	}
	w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{x, window("11:00-12:30")}})
	if got := w.verdict(mentions("ann")); got != "QUIET_WINDOW" {
		t.Errorf("the second window lets nobody pass: %s", got)
	}
	w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{x}})
	w.quietFor(time.Hour)
	if got := w.verdict(mentions("ann")); got != "QUIET_DURATION" {
		t.Errorf("a duration lets nobody pass: %s", got)
	}
}

// Rows 42 and 43: levels from the narrowest to the widest.
func TestRow43Levels(t *testing.T) {
	w := offlinePhone(t)
	steps := []func(){
		func() { w.settings(&rousev1.UserSettings{Mode: none}) },
		func() { w.env.App.GroupMode = all },
		nil, // the group's own mode comes with the message
		func() { w.settings(&rousev1.UserSettings{Mode: none, GroupMode: all, DirectMode: none}) },
		func() { w.conversation("team", none, -1) },
	}
	groupMode := unset
	for i, want := range []string{"MODE_NONE", "pushed", "MODE_NONE", "pushed", "MODE_NONE"} {
		if steps[i] == nil {
			groupMode = none
		} else {
			steps[i]()
		}
		if got := w.verdict(func(m *rousev1.MessageEvent) { m.GroupMode = groupMode }); got != want {
			t.Errorf("level %d: %s, want %s", i, got, want)
		}
	}
	toBob := func(m *rousev1.MessageEvent) { m.ConversationType, m.ConversationId, m.GroupMode = direct, "bob", all }
	if got := w.verdict(toBob); got != "MODE_NONE" {
		t.Errorf("groups' modes decide a direct message: %s", got)
	}
	w.settings(&rousev1.UserSettings{DirectMode: all}, "direct_mode")
	if got := w.verdict(toBob); got != "pushed" {
		t.Error(got)
	}
}

// Row 49: without the advanced features settings are kept and not heeded.
func TestRow49AdvancedOff(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{Mode: none, GroupMode: none, Windows: []*rousev1.QuietWindow{window("00:00-24:00")}})
	w.conversation("team", none, time.Hour)
	w.env.App.AdvancedOff = true
	if got := w.verdict(nil); got != "pushed" {
		t.Error(got)
	}
	w.env.App.AdvancedOff = false
	if got := w.verdict(nil); got != "QUIET_WINDOW" {
		t.Errorf("switched on again: %s", got)
	}
}

// Row 50: groups over the app's limit are not pushed; the user's mode does not matter.
func TestRow50LargeGroups(t *testing.T) {
	w := offlinePhone(t)
	w.conversation("team", all, -1)
	large := func(m *rousev1.MessageEvent) { m.GroupSize, m.ForcePush = 3001, true }
	if got := w.verdict(large); got != "GROUP_TOO_LARGE" {
		t.Error(got)
	}
}

// Step 23: in a direct conversation a mention counts as well, and the app may
// let all direct messages count as mentions.
func TestStep23Direct(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{Mode: mentionOnly})
	toAnn := func(m *rousev1.MessageEvent) { m.ConversationType, m.ConversationId = direct, "bob" }
	if got := w.verdict(toAnn); got != "MODE_MENTION" {
		t.Error(got)
	}
	if got := w.verdict(func(m *rousev1.MessageEvent) { toAnn(m); m.Mentions = []string{"ann"} }); got != "pushed" {
		t.Error(got)
	}
	w.env.App.DirectIsMention = true
	if got := w.verdict(toAnn); got != "pushed" {
		t.Error(got)
	}
	if got := w.verdict(nil); got != "MODE_MENTION" {
		t.Errorf("a group's message counts as a direct one: %s", got)
	}
}

// Step 8: what is kept silent counts, unless the app wants otherwise.
func TestStep8SilentCount(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{Mode: none})
	w.verdict(nil)
	if n := w.s.Devices[0].Count; n != 1 {
		t.Errorf("count %d", n)
	}
	w.env.App.SkipSilent = true
	w.verdict(nil)
	w.quietFor(time.Hour)
	w.verdict(nil)
	if n := w.s.Devices[0].Count; n != 1 {
		t.Errorf("count %d although silent messages do not count", n)
	}
	w.verdict(func(m *rousev1.MessageEvent) { m.ForcePush = true })
	if n := w.s.Devices[0].Count; n != 2 {
		t.Errorf("count %d after a forced push", n)
	}
}

// The zone of windows: the user's, else that of the device last seen, else the
// app's, else UTC; names without a zone fall through. t0 is 12:00 in UTC.
func TestStep20Zone(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{Windows: []*rousev1.QuietWindow{window("12:00-12:01")}})
	quietAt := func(what string, utcHour, minute int) {
		t.Helper()
		w.env.Now = time.Date(2026, 3, 1, utcHour, minute, 30, 0, time.UTC)
		if got := w.verdict(nil); got != "QUIET_WINDOW" {
			t.Errorf("%s: %s", what, got)
		}
		w.env.Now = w.env.Now.Add(time.Minute)
		if got := w.verdict(nil); got != "pushed" {
			t.Errorf("%s, a minute later: %s", what, got)
		}
	}
	quietAt("nothing is known", 12, 0)
	w.env.App.Zone = "Asia/Tokyo"
	quietAt("the app's", 3, 0)
	w.s.device("phone").Info.Zone = "Europe/Berlin"
	quietAt("the device's", 11, 0)
	pad := w.s.ensure("pad")
	pad.Info.Zone, pad.LastSeen = "Asia/Kathmandu", w.s.device("phone").LastSeen+1
	quietAt("that of the device last seen", 6, 15)
	w.s.device("pad").Info.Zone = "Mars/Olympus"
	quietAt("an unknown one of the device last seen", 11, 0)
	w.settings(&rousev1.UserSettings{TimeZone: "America/New_York"}, "time_zone")
	quietAt("the user's own", 17, 0)
	w.s.Settings.Zone = "Gone/Away" // as of an older table of zones
	quietAt("an unknown one of the user", 11, 0)
}

// Daylight saving through the whole procedure: Berlin's clock goes ahead on
// 2026-03-29 and back on 2026-10-25, both at 01:00 UTC.
func TestStep20DaylightSaving(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{TimeZone: "Europe/Berlin", Windows: []*rousev1.QuietWindow{window("22:00-07:00")}})
	for at, want := range map[string]string{
		"2026-03-28T20:59:00Z": "pushed", "2026-03-28T21:00:00Z": "QUIET_WINDOW",
		"2026-03-29T04:59:00Z": "QUIET_WINDOW", "2026-03-29T05:00:00Z": "pushed",
		"2026-10-24T19:59:00Z": "pushed", "2026-10-24T20:00:00Z": "QUIET_WINDOW",
		"2026-10-25T05:59:00Z": "QUIET_WINDOW", "2026-10-25T06:00:00Z": "pushed",
	} {
		w.env.Now, _ = time.Parse(time.RFC3339, at)
		w.s.Devices[0].LastSeen = w.env.Now.Unix()
		if got := w.verdict(nil); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func TestWishSteps(t *testing.T) {
	w := offlinePhone(t)
	m := &rousev1.MessageEvent{MessageId: "m", Sender: "bob", ConversationType: group, ConversationId: "team"}
	tail := func() string {
		_, after, _ := strings.Cut(words(w.explain(Message{MessageEvent: m}).GetSteps()), "(app policy)\n")
		return after
	}
	check := func(want string) {
		t.Helper()
		if got := tail(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
	x := window("22:00-08:00")
	x.Weekdays = []uint32{7}
	w.settings(&rousev1.UserSettings{TimeZone: "Asia/Shanghai", Mode: mentionOnly, Windows: []*rousev1.QuietWindow{x}})
	check("FORCE PASS\nQUIET PASS\nMODE STOP MODE_MENTION (mode)\n")
	w.env.Now = t0.Add(2 * time.Hour) // a Sunday, 22:00 in Shanghai
	check("FORCE PASS\nQUIET STOP QUIET_WINDOW (window 22:00-08:00 Sun Asia/Shanghai)\n")
	m.ForcePush = true
	check("FORCE PASS\nQUIET SKIP (force_push)\nMODE SKIP (force_push)\n")
	w.env.App.ForceScope = rousev1.ForceScope_FORCE_SCOPE_QUIET
	check("FORCE PASS\nQUIET SKIP (force_push)\nMODE STOP MODE_MENTION (mode)\n")
	m.ForcePush = false
	w.env.App.AdvancedOff = true
	check("FORCE PASS\nQUIET SKIP (advanced_off of the app)\nMODE PASS (default)\n")
}

// Whatever is set: forcing never makes a push fewer, quiet and modes never make
// one more, and without settings nothing is silent.
func TestWishProperties(t *testing.T) {
	mode := rapid.SampledFrom([]rousev1.NotifyMode{unset, unset, all, mentionOnly, none, meOnly, allOnly, managers})
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, nil)
		w.bind("phone", "apns", "aa")
		w.env.Now = t0.Add(time.Duration(rapid.IntRange(0, 7*24*60).Draw(t, "minute")) * time.Minute)
		m := &rousev1.MessageEvent{
			MessageId: "m", Sender: "bob", ConversationId: "team", ConversationType: rapid.SampledFrom([]rousev1.ConversationType{direct, group}).Draw(t, "type"),
			MentionAll: rapid.Bool().Draw(t, "all"), SenderIsManager: rapid.Bool().Draw(t, "manager"),
			GroupMode: mode.Draw(t, "the group's"), Mentions: rapid.SliceOfN(rapid.SampledFrom([]string{"ann", "cid"}), 0, 2).Draw(t, "mentions"),
		}
		reason := func(edit func(*rousev1.MessageEvent)) rousev1.Reason {
			n := proto.CloneOf(m)
			if edit != nil {
				edit(n)
			}
			return w.explain(Message{MessageEvent: n}).GetDevices()[0].GetOutcome().GetReason()
		}
		const pushed = rousev1.Reason_REASON_QUEUED
		if m.GetGroupMode() == unset && reason(nil) != pushed {
			t.Fatal("silent without any setting")
		}
		u := &rousev1.UserSettings{Mode: mode.Draw(t, "mode"), DirectMode: mode.Draw(t, "direct"), GroupMode: mode.Draw(t, "group")}
		for range rapid.IntRange(0, 3).Draw(t, "windows") {
			x := &rousev1.QuietWindow{
				StartMinute: uint32(rapid.IntRange(0, 1439).Draw(t, "start")), EndMinute: uint32(rapid.IntRange(0, 1440).Draw(t, "end")),
				MentionsPass: rapid.Bool().Draw(t, "pass"), Weekdays: rapid.SliceOfNDistinct(rapid.Uint32Range(1, 7), 0, 7, rapid.ID).Draw(t, "days"),
			}
			x.WholeDay = x.GetStartMinute() == x.GetEndMinute()
			u.Windows = append(u.Windows, x)
		}
		if d := w.settings(u); d.Reply.Err != nil {
			t.Fatal(d.Reply.Err)
		}
		loud := reason(nil)
		if forced := reason(func(m *rousev1.MessageEvent) { m.ForcePush = true }); forced != pushed {
			t.Fatalf("forced, and still %v", forced)
		}
		w.quietFor(time.Duration(rapid.IntRange(0, 2).Draw(t, "quiet")) * time.Hour)
		if r := reason(nil); r == pushed && loud != pushed {
			t.Fatalf("a quiet time lets through what was stopped by %v", loud)
		}
		w.env.App.AdvancedOff = true
		if r := reason(nil); m.GetGroupMode() == unset && r != pushed {
			t.Fatalf("the advanced features are off, and still %v", r)
		}
	})
}
