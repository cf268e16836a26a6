package user

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/actors/user/quiet"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

func everySetting() *rousev1.UserSettings {
	return &rousev1.UserSettings{
		Mode: mentionOnly, DirectMode: all, GroupMode: none, TimeZone: "Asia/Shanghai", Style: rousev1.DisplayStyle_DISPLAY_STYLE_SUMMARY,
		Nickname: "小安", Language: "zh-Hans", Template: "detail", HideContent: true,
		Windows: []*rousev1.QuietWindow{
			{StartMinute: 1320, EndMinute: 480, Weekdays: []uint32{1, 5, 7}, MentionsPass: true},
			{StartMinute: 540, EndMinute: 540, WholeDay: true},
		},
	}
}

// Every field of the contract but quiet_until can be named by a mask, is kept
// and comes back.
func TestSettingsFieldByField(t *testing.T) {
	full := everySetting().ProtoReflect()
	fields := full.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := string(f.Name())
		if name == "quiet_until" {
			continue
		}
		if !slices.Contains(settingPaths, name) {
			t.Errorf("no mask names %s", name)
		}
		if !full.Has(f) {
			t.Fatalf("the test sets no %s", name)
		}
		w := newWorld(t, nil)
		got := w.settings(everySetting(), name).Reply.Response.(*rousev1.SetUserSettingsResponse).GetSettings()
		want := &rousev1.UserSettings{}
		want.ProtoReflect().Set(f, full.Get(f))
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s alone:\n%s", name, diff)
		}
		w.settings(everySetting())
		var back State
		if err := back.Decode(string(w.s.Encode(nil))); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(everySetting(), back.Settings.proto(t0), protocmp.Transform()); diff != "" {
			t.Errorf("from the record:\n%s", diff)
		}
		w.settings(&rousev1.UserSettings{}, name)
		want = everySetting()
		want.ProtoReflect().Clear(f)
		if diff := cmp.Diff(want, w.s.Settings.proto(t0), protocmp.Transform()); diff != "" {
			t.Errorf("%s taken back:\n%s", name, diff)
		}
	}
	if len(settingPaths) != fields.Len()-1 {
		t.Errorf("%d paths for %d fields", len(settingPaths), fields.Len())
	}
}

func TestSettingsRefusals(t *testing.T) {
	set := func(edit func(*rousev1.UserSettings)) *rousev1.SetUserSettingsRequest {
		u := everySetting()
		edit(u)
		return &rousev1.SetUserSettingsRequest{UserId: "ann", Settings: u}
	}
	mask := func(path string) *rousev1.SetUserSettingsRequest {
		return &rousev1.SetUserSettingsRequest{UserId: "ann", Settings: everySetting(), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"mode", path}}}
	}
	windows := func(x ...*rousev1.QuietWindow) func(*rousev1.UserSettings) {
		return func(u *rousev1.UserSettings) { u.Windows = x }
	}
	for _, tc := range []struct {
		r    *rousev1.SetUserSettingsRequest
		want string
	}{
		{set(windows(window("01:00-02:00"), window("09:00-09:00"))), "settings.windows[1]: it starts and ends at the same minute; set whole_day"},
		{set(windows(window("00:00-00:00"))), "leave the window out to have none"},
		{set(windows(&rousev1.QuietWindow{EndMinute: 1440, WholeDay: true})), "make end_minute the same"},
		{set(windows(&rousev1.QuietWindow{StartMinute: 1 << 20})), "start_minute goes up to 1439"},
		{set(windows(&rousev1.QuietWindow{EndMinute: 1, Weekdays: []uint32{0}})), "weekdays from 1 to 7"},
		{set(windows(&rousev1.QuietWindow{EndMinute: 1, Weekdays: []uint32{8}})), "weekdays from 1 to 7"},
		{set(windows(slices.Repeat([]*rousev1.QuietWindow{window("01:00-02:00")}, 9)...)), "at most 8"},
		{set(func(u *rousev1.UserSettings) { u.TimeZone = "Beijing" }), `"Beijing" is no IANA zone`},
		{set(func(u *rousev1.UserSettings) { u.TimeZone = "Local" }), "is no IANA zone"},
		{set(func(u *rousev1.UserSettings) { u.Language = "chinese!" }), `"chinese!" is no language tag`},
		{mask("quiet_until"), "quiet_until is set by quiet_for"},
		{mask("windows.start_minute"), "is no field of settings; write some of mode, direct_mode"},
	} {
		w := offlinePhone(t)
		before := string(w.s.Encode(nil))
		d := w.do(tc.r)
		if d.Reply.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT || d.Reply.Err.GetTemporary() || !strings.Contains(d.Reply.Err.GetMessage(), tc.want) {
			t.Errorf("%v, want %s", d.Reply.Err, tc.want)
		}
		if string(w.s.Encode(nil)) != before {
			t.Error("a refused request changed the record")
		}
	}
}

func TestSettingsWrites(t *testing.T) {
	w := newWorld(t, nil)
	if d := w.settings(&rousev1.UserSettings{}); d.Changed || w.s.Known {
		t.Error("nothing was set, and the user is known by it")
	}
	w.settings(everySetting())
	if d := w.settings(everySetting()); d.Changed {
		t.Error("the same again is written again")
	}
	w.quietFor(time.Hour) // without settings nothing else changes
	if diff := cmp.Diff(func() *rousev1.UserSettings {
		u := everySetting()
		u.QuietUntil = timestamppb.New(t0.Add(time.Hour))
		return u
	}(), w.s.Settings.proto(t0), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if d := w.settings(&rousev1.UserSettings{Language: "zh_hans_cn"}, "language"); d.Reply.Response.(*rousev1.SetUserSettingsResponse).GetSettings().GetLanguage() != "zh-Hans-CN" {
		t.Errorf("language %q", w.s.Settings.Lang)
	}
	w.settings(&rousev1.UserSettings{})
	if w.s.Settings.QuietUntil == 0 {
		t.Error("a request for all fields ended quiet_until")
	}
	w.env.Now = t0.Add(2 * time.Hour)
	w.settings(&rousev1.UserSettings{Nickname: "x"})
	if w.s.Settings.QuietUntil != 0 {
		t.Error("what is over stays in the record")
	}
}

func TestConversationWrites(t *testing.T) {
	w := newWorld(t, nil)
	ref := &rousev1.ConversationRef{Type: direct, Id: "bob"}
	set := func(mode *rousev1.NotifyMode, remark *string, d *durationpb.Duration) *rousev1.ConversationSettings {
		t.Helper()
		r := w.do(&rousev1.SetConversationSettingsRequest{UserId: "ann", Conversation: ref, Mode: mode, Remark: remark, QuietFor: d}).Reply
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r.Response.(*rousev1.SetConversationSettingsResponse).GetSettings()
	}
	set(nil, nil, nil)
	set(unset.Enum(), new(""), durationpb.New(0))
	if w.s.Known || len(w.kept) != 0 {
		t.Error("nothing was set, and it is kept")
	}
	set(none.Enum(), nil, nil)
	set(nil, new("Bobby"), nil)
	got := set(nil, nil, durationpb.New(time.Hour))
	want := &rousev1.ConversationSettings{Conversation: ref, Mode: none, Remark: "Bobby", QuietUntil: timestamppb.New(t0.Add(time.Hour))}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || w.s.Conversations != 1 {
		t.Errorf("%d conversations; %s", w.s.Conversations, diff)
	}
	set(unset.Enum(), nil, nil)
	set(nil, new(""), nil)
	if w.s.Conversations != 1 {
		t.Error("what is quiet yet is not kept")
	}
	w.env.Now = t0.Add(time.Hour)
	if set(nil, nil, nil); w.s.Conversations != 0 || len(w.kept) != 0 {
		t.Error("what says nothing any more is kept")
	}
	r := w.do(&rousev1.SetConversationSettingsRequest{UserId: "ann", Conversation: &rousev1.ConversationRef{Type: group, Id: "team"}, Remark: new("x")}).Reply
	if r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
		t.Errorf("a remark on a group: %v", r.Err)
	}
}

// A message finds that its conversation's quiet time is over, and removes what
// is kept of it.
func TestMessageForgetsVoid(t *testing.T) {
	w := offlinePhone(t)
	w.conversation("team", unset, time.Hour)
	w.conversation("other", unset, time.Hour)
	w.env.Now = t0.Add(time.Hour)
	if got := w.verdict(nil); got != "pushed" || w.s.Conversations != 1 || len(w.kept) != 1 {
		t.Errorf("%s; %d kept, %d counted", got, len(w.kept), w.s.Conversations)
	}
}

// Random changes, messages and waits: the record always counts what is kept,
// what was touched and says nothing is gone, and each message finds the mode
// and quiet time that were set last.
func TestConversationsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, nil)
		w.bind("phone", "apns", "aa")
		type wanted struct {
			mode  rousev1.NotifyMode
			until time.Time
		}
		model := map[string]*wanted{"a": {}, "b": {}, "c": {}}
		names := rapid.SampledFrom([]string{"a", "b", "c"})
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				name, r := names.Draw(t, "conversation"), &rousev1.SetConversationSettingsRequest{UserId: "ann"}
				r.Conversation = &rousev1.ConversationRef{Type: group, Id: name}
				if rapid.Bool().Draw(t, "with a mode") {
					r.Mode = rapid.SampledFrom([]rousev1.NotifyMode{unset, all, none}).Draw(t, "mode").Enum()
					model[name].mode = r.GetMode()
				}
				if rapid.Bool().Draw(t, "with a duration") {
					d := time.Duration(rapid.IntRange(0, 3).Draw(t, "minutes")) * time.Minute
					r.QuietFor, model[name].until = durationpb.New(d), w.env.Now.Add(d)
				}
				w.do(r)
				got, void := w.kept[ConversationID{group, name}], model[name].mode == 0 && !model[name].until.After(w.env.Now)
				if has(w.kept, ConversationID{group, name}) == void || got.Mode != model[name].mode {
					t.Fatalf("%q is kept as %+v, want %+v", name, got, model[name])
				}
			},
			"message": func(t *rapid.T) {
				name, want := names.Draw(t, "conversation"), "pushed"
				switch m := model[name]; {
				case m.until.After(w.env.Now):
					want = "QUIET_CONVERSATION"
				case m.mode == none:
					want = "MODE_NONE"
				}
				if got := w.verdict(func(m *rousev1.MessageEvent) { m.ConversationId = name }); got != want {
					t.Fatalf("%q: %s, want %s", name, got, want)
				}
				if m := model[name]; m.mode == 0 && !m.until.After(w.env.Now) && has(w.kept, ConversationID{group, name}) {
					t.Fatalf("%q says nothing and is kept", name)
				}
				w.s.Pending = nil
			},
			"wait": func(t *rapid.T) { w.env.Now = w.env.Now.Add(time.Minute) },
		})
	})
}

func TestConversationLimit(t *testing.T) {
	w := newWorld(t, nil)
	w.s.Known, w.s.Conversations = true, MaxConversations
	one := func(id string) *rousev1.SetConversationSettingsRequest {
		return &rousev1.SetConversationSettingsRequest{UserId: "ann", Conversation: &rousev1.ConversationRef{Type: group, Id: id}, Mode: none.Enum()}
	}
	d := w.s.Decide(SetConversation{SetConversationSettingsRequest: one("new")}, &w.env)
	if d.Reply.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED || len(d.Events) != 0 {
		t.Errorf("%+v", d)
	}
	d = w.s.Decide(SetConversation{SetConversationSettingsRequest: one("old"), Current: Conversation{Mode: all}, Kept: true}, &w.env)
	if d.Reply.Err != nil || len(d.Conversations) != 1 || d.Changed {
		t.Errorf("a change of what is kept: %+v", d)
	}
	void := []ConversationID{{group, "a"}, {direct, "b"}}
	d = w.s.Decide(SetConversation{SetConversationSettingsRequest: one("new"), Void: void}, &w.env)
	if d.Reply.Err != nil || len(d.Conversations) != 3 {
		t.Fatalf("%+v", d)
	}
	if w.s.Apply(d.Events); w.s.Conversations != MaxConversations-1 {
		t.Errorf("%d are counted", w.s.Conversations)
	}
}

const (
	goldenSettings     = "0801322808021001180320a88abcbe0420808080800228d2093203555443380242016e4a02646552017458013803"
	goldenConversation = "0801100318d20922046272c3b6"
)

// The bytes on disk must stay readable for ever.
func TestSettingsGolden(t *testing.T) {
	s := &State{Known: true, Conversations: 3, Settings: Settings{
		Mode: mentionOnly, Direct: all, Group: none, QuietUntil: 1234, Zone: "UTC", Style: 2, Nickname: "n", Lang: "de", Template: "t", HideContent: true,
		Windows: []quiet.Window{{Start: 1320, End: 480, Days: 31, MentionsPass: true}, {WholeDay: true}},
	}}
	if got := hex.EncodeToString(s.Encode(nil)); got != goldenSettings {
		t.Errorf("the form of the settings changed:\n got %s\nwant %s", got, goldenSettings)
	}
	c := Conversation{Mode: none, QuietUntil: 1234, Remark: "brö"}
	if got := hex.EncodeToString(c.Encode(nil)); got != goldenConversation {
		t.Errorf("the form of a conversation's settings changed:\n got %s\nwant %s", got, goldenConversation)
	}
	var back State
	old, _ := hex.DecodeString(goldenRecord) // of a version without settings
	if err := back.Decode(string(old)); err != nil || back.Settings.QuietUntil != 0 || back.Conversations != 0 || len(back.Devices) != 1 {
		t.Errorf("%+v, %v", back, err)
	}
	if n := decodeConversations(string(s.Encode(nil))); n != 3 {
		t.Errorf("%d conversations", n)
	}
	if n := decodeConversations("\x12\xff\x38\x03"); n != 0 {
		t.Errorf("a damaged record has %d conversations", n)
	}
}

func TestConversationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Conversation{Mode: rousev1.NotifyMode(rapid.IntRange(0, 6).Draw(t, "mode")), QuietUntil: rapid.Int64Min(0).Draw(t, "until"), Remark: rapid.String().Draw(t, "remark")}
		var back Conversation
		if err := back.Decode(string(c.Encode(nil))); err != nil || back != c {
			t.Fatalf("%+v came back as %+v, %v", c, back, err)
		}
		id := ConversationID{rapid.SampledFrom([]rousev1.ConversationType{direct, group}).Draw(t, "type"), rapid.StringN(1, 60, 128).Draw(t, "id")}
		if got, err := parsePageToken(pageToken(id)); err != nil || got != id {
			t.Fatalf("%+v came back as %+v, %v", id, got, err)
		}
	})
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte{}, "")
	f.Add((&Conversation{Mode: 2, QuietUntil: 9, Remark: "x"}).Encode(nil), pageToken(ConversationID{group, "team"}))
	f.Fuzz(func(t *testing.T, b []byte, token string) {
		var c, again Conversation
		if c.Decode(string(b)) == nil {
			if err := again.Decode(string(c.Encode(nil))); err != nil || again != c {
				t.Errorf("%+v came back as %+v, %v", c, again, err)
			}
		}
		var s Settings
		if s.decode(string(b)) == nil {
			s.encode(nil)
		}
		if id, err := parsePageToken(token); err == nil && pageToken(id) != token {
			t.Errorf("%q came back as %q", token, pageToken(id))
		}
	})
}

// A message's decision and the record do not know how many conversations have
// settings.
func BenchmarkDecideWithSettings(b *testing.B) {
	for _, n := range []uint32{0, MaxConversations} {
		b.Run(fmt.Sprint(n, " conversations"), func(b *testing.B) {
			s := typical()
			s.Devices[1].State = disconnected
			s.Conversations = n
			s.Settings = Settings{Mode: all, Zone: "Europe/Berlin", Windows: []quiet.Window{{Start: 1320, End: 480, Days: 31}, {Start: 720, End: 780}}}
			e := benchEnv(&Trail{})
			rec := string(s.Encode(nil))
			b.ReportMetric(float64(len(rec)), "record-bytes")
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Decode(rec); err != nil {
					b.Fatal(err)
				}
				e.Trail.reset()
				if d := s.Decide(Message{MessageEvent: benchMessage, Conversation: Conversation{Mode: all}, Kept: true}, e); len(d.Send) != 2 {
					b.Fatalf("%d pushes", len(d.Send))
				}
			}
		})
	}
}
