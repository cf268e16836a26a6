package user

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user/quiet"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/stepped"
)

// reporter is what testing and rapid have in common.
type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world drives a State the way the shell does, without store and lanes.
type world struct {
	t     reporter
	s     State
	env   Env
	dead  map[string]bool // IM nodes whose lease has ended
	full  map[string]bool // lanes without room
	kept  map[ConversationID]Conversation
	steps uint64
}

var zones quiet.Zones

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t reporter, settings *rousev1.AppSettings) *world {
	w := &world{t: t, dead: map[string]bool{}, full: map[string]bool{}, kept: map[ConversationID]Conversation{}}
	w.env = Env{ID: "app", Me: "ann", Now: t0, App: NewApp(settings, []*rousev1.Credential{
		{Name: "apns", Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{}}},
		{Name: "apns2", Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{}}},
		{Name: "voip", Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{Voip: true}}},
		{Name: "fcm", Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{}}},
		{Name: "banned", Banned: true, Disabled: true, Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{}}},
		{Name: "off", Disabled: true, Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{}}},
	})}
	w.env.Live = func(node string, _ uint64) bool { return !w.dead[node] }
	w.env.Zone = zones.Find
	w.env.Room = func(n string) bool { return !w.full[n] }
	return w
}

func (w *world) do(cmd any) Decision {
	w.t.Helper()
	before := string(w.s.Encode(nil))
	d := w.s.Decide(w.know(cmd), &w.env)
	if d.Reply.Err != nil {
		return d
	}
	w.s.Apply(d.Events)
	for _, c := range d.Conversations {
		if c.Remove {
			delete(w.kept, c.ID)
		} else {
			w.kept[c.ID] = c.Conversation
		}
	}
	if len(w.kept) != int(w.s.Conversations) && !d.Erase {
		w.t.Fatalf("%d conversations are kept, the record counts %d", len(w.kept), w.s.Conversations)
	}
	if !d.Changed && !d.Erase && string(w.s.Encode(nil)) != before {
		w.t.Fatalf("%T changed the record without saying so", cmd)
	}
	return d
}

// know adds to a command what the shell reads from the store.
func (w *world) know(cmd any) any {
	switch c := cmd.(type) {
	case Message:
		if id, ok := conversationOf(c.MessageEvent, w.env.Me); ok {
			c.Conversation, c.Kept = w.kept[id], has(w.kept, id)
		}
		return c
	case *rousev1.SetConversationSettingsRequest:
		id := ConversationID{c.GetConversation().GetType(), c.GetConversation().GetId()}
		return SetConversation{SetConversationSettingsRequest: c, Current: w.kept[id], Kept: has(w.kept, id)}
	}
	return cmd
}

func has[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}

func (w *world) session(device string, st rousev1.SessionState) {
	w.t.Helper()
	w.steps++
	w.do(Presence{PresenceEvent: &rousev1.PresenceEvent{DeviceId: device, State: st, Session: 1, Step: w.steps}, Node: actors.Node{Name: "im1", Incarnation: 1}})
}

func (w *world) bind(device, notifier, token string) Decision {
	w.t.Helper()
	var sum Sum
	copy(sum[:], notifier+"/"+token)
	return w.do(Bind{BindTokenRequest: &rousev1.BindTokenRequest{UserId: "ann", DeviceId: device, Notifier: notifier, Token: token}, Sealed: "sealed:" + token, Sum: sum})
}

func (w *world) platform(device string, p rousev1.Platform) {
	w.s.ensure(device).Info.Platform = p
}

var messages int

func (w *world) message(edit func(*rousev1.MessageEvent)) (string, map[string]string) {
	w.t.Helper()
	messages++
	m := &rousev1.MessageEvent{
		MessageId: fmt.Sprint("m", messages), Sender: "bob", ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_DIRECT,
		Content: &rousev1.Content{Body: "hi"},
	}
	if edit != nil {
		edit(m)
	}
	d := w.do(Message{MessageEvent: m})
	if d.Reply.Err != nil {
		return m.MessageId, map[string]string{"refused": d.Reply.Err.GetCode().String()}
	}
	got := map[string]string{}
	for _, p := range d.Touched {
		for _, v := range p.Verdicts {
			got[v.Device+">"+v.Notifier] = v.Reason.String()[len("REASON_"):]
		}
	}
	return m.MessageId, got
}

func expect(t testing.TB, got, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

const (
	connected    = rousev1.SessionState_SESSION_STATE_CONNECTED
	background   = rousev1.SessionState_SESSION_STATE_BACKGROUND
	disconnected = rousev1.SessionState_SESSION_STATE_DISCONNECTED
	kicked       = rousev1.SessionState_SESSION_STATE_KICKED
	loggedOut    = rousev1.SessionState_SESSION_STATE_LOGGED_OUT
)

func offlinePhone(t testing.TB) *world {
	w := newWorld(t, nil)
	w.session("phone", connected)
	w.bind("phone", "apns", "aa")
	w.session("phone", disconnected)
	return w
}

func TestMessageGates(t *testing.T) {
	for name, tc := range map[string]struct {
		edit  func(*rousev1.MessageEvent)
		want  string
		count uint32
	}{
		"plain":       {nil, "QUEUED", 1},
		"chat room":   {func(m *rousev1.MessageEvent) { m.ConversationType = rousev1.ConversationType_CONVERSATION_TYPE_ROOM }, "CHAT_ROOM", 0},
		"online only": {func(m *rousev1.MessageEvent) { m.OnlineOnly = true }, "ONLINE_ONLY", 0},
		"own message": {func(m *rousev1.MessageEvent) { m.Sender = "ann" }, "SENDER_DEVICE", 0},
		"typing":      {func(m *rousev1.MessageEvent) { m.Kind = rousev1.MessageKind_MESSAGE_KIND_TYPING }, "KIND_NOT_PUSHED", 0},
		"group at the limit": {func(m *rousev1.MessageEvent) {
			m.ConversationType, m.GroupSize = rousev1.ConversationType_CONVERSATION_TYPE_GROUP, 3000
		}, "QUEUED", 1},
		"group too large": {func(m *rousev1.MessageEvent) {
			m.ConversationType, m.GroupSize = rousev1.ConversationType_CONVERSATION_TYPE_GROUP, 3001
		}, "GROUP_TOO_LARGE", 1},
		"a day old": {func(m *rousev1.MessageEvent) {
			m.SentAt, m.Ttl = timestamppb.New(t0.Add(-24*time.Hour)), durationpb.New(48*time.Hour)
		}, "QUEUED", 1},
		"older than a day": {func(m *rousev1.MessageEvent) {
			m.SentAt, m.Ttl = timestamppb.New(t0.Add(-24*time.Hour-time.Second)), durationpb.New(48*time.Hour)
		}, "MESSAGE_EXPIRED", 1},
		"ttl over": {func(m *rousev1.MessageEvent) {
			m.SentAt, m.Ttl = timestamppb.New(t0.Add(-time.Minute)), durationpb.New(time.Minute)
		}, "MESSAGE_EXPIRED", 1},
		"ignored":  {func(m *rousev1.MessageEvent) { m.IgnorePush = true }, "IGNORED_BY_SENDER", 1},
		"no count": {func(m *rousev1.MessageEvent) { m.NoCount = true }, "QUEUED", 0},
		"filtered": {func(m *rousev1.MessageEvent) { m.Filter = &rousev1.DeviceFilter{AcceptDeviceIds: []string{"x"}} }, "DEVICE_FILTERED", 1},
		"accepted": {func(m *rousev1.MessageEvent) { m.Filter = &rousev1.DeviceFilter{AcceptDeviceIds: []string{"phone"}} }, "QUEUED", 1},
		"ignore wins": {func(m *rousev1.MessageEvent) {
			m.Filter = &rousev1.DeviceFilter{AcceptDeviceIds: []string{"phone"}, IgnoreDeviceIds: []string{"phone"}}
		}, "DEVICE_FILTERED", 1},
		"notifier ignored": {func(m *rousev1.MessageEvent) { m.Filter = &rousev1.DeviceFilter{IgnoreNotifiers: []string{"apns"}} }, "DEVICE_FILTERED", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := offlinePhone(t)
			_, got := w.message(tc.edit)
			key := "phone>"
			if tc.want == "QUEUED" {
				key = "phone>apns"
			}
			expect(t, got, map[string]string{key: tc.want})
			if n := w.s.Devices[0].Count; n != tc.count {
				t.Errorf("offline count %d, want %d", n, tc.count)
			}
		})
	}
}

// The multi-device vectors of the specification, and their neighbours.
func TestDevicePolicies(t *testing.T) {
	all := rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ALL_OFFLINE
	anyOf := rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ANY_OFFLINE
	mobile := rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_MOBILE_OFFLINE
	away := rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY
	for name, tc := range map[string]struct {
		policy              rousev1.MultiDevicePolicy
		phone, tablet, desk rousev1.SessionState // 0 = absent
		want                map[string]string
	}{
		"both offline, all":            {all, disconnected, disconnected, 0, map[string]string{"phone>apns": "QUEUED", "tablet>fcm": "QUEUED"}},
		"both offline, any":            {anyOf, disconnected, disconnected, 0, map[string]string{"phone>apns": "QUEUED", "tablet>fcm": "QUEUED"}},
		"desk online, all":             {all, disconnected, 0, connected, map[string]string{"phone>": "USER_ONLINE", "desk>": "DEVICE_ONLINE"}},
		"desk online, any":             {anyOf, disconnected, 0, connected, map[string]string{"phone>apns": "QUEUED", "desk>": "DEVICE_ONLINE"}},
		"desk online, mobile":          {mobile, disconnected, 0, connected, map[string]string{"phone>apns": "QUEUED", "desk>": "DEVICE_ONLINE"}},
		"tablet online, mobile":        {mobile, disconnected, connected, 0, map[string]string{"phone>": "USER_ONLINE", "tablet>": "DEVICE_ONLINE"}},
		"desk online, away":            {away, disconnected, 0, connected, map[string]string{"phone>apns": "DELAYED", "desk>": "DEVICE_ONLINE"}},
		"tablet online, away":          {away, disconnected, connected, 0, map[string]string{"phone>": "USER_ONLINE", "tablet>": "DEVICE_ONLINE"}},
		"nobody online, away":          {away, disconnected, disconnected, 0, map[string]string{"phone>apns": "QUEUED", "tablet>fcm": "QUEUED"}},
		"phone in the background":      {all, background, 0, 0, map[string]string{"phone>": "DEVICE_ONLINE"}},
		"phone kicked, tablet offline": {all, kicked, disconnected, 0, map[string]string{"phone>": "KICKED", "tablet>fcm": "QUEUED"}},
		"phone logged out, kept bound": {all, loggedOut, 0, 0, map[string]string{"phone>apns": "QUEUED"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, &rousev1.AppSettings{DevicePolicy: &rousev1.DevicePolicy{Policy: tc.policy}})
			for _, d := range []struct {
				id, notifier string
				st           rousev1.SessionState
				p            rousev1.Platform
			}{
				{"phone", "apns", tc.phone, rousev1.Platform_PLATFORM_IOS},
				{"tablet", "fcm", tc.tablet, rousev1.Platform_PLATFORM_ANDROID},
				{"desk", "", tc.desk, rousev1.Platform_PLATFORM_DESKTOP},
			} {
				if d.st == 0 {
					continue
				}
				w.platform(d.id, d.p)
				if d.notifier != "" {
					w.bind(d.id, d.notifier, "token-"+d.id)
				}
				w.session(d.id, d.st)
			}
			_, got := w.message(nil)
			expect(t, got, tc.want)
		})
	}
}

func TestLeaseEnd(t *testing.T) {
	w := newWorld(t, nil)
	w.bind("phone", "apns", "aa")
	w.session("phone", connected)
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>": "DEVICE_ONLINE"})
	w.dead["im1"] = true
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>apns": "QUEUED"})
}

func TestIOSBackgroundSwitch(t *testing.T) {
	w := newWorld(t, &rousev1.AppSettings{IosBackgroundIsOffline: true})
	w.platform("phone", rousev1.Platform_PLATFORM_IOS)
	w.bind("phone", "apns", "aa")
	w.session("phone", background)
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>apns": "QUEUED"})
}

func TestSessionOrder(t *testing.T) {
	w := newWorld(t, nil)
	send := func(session, step uint64, st rousev1.SessionState) rousev1.ItemStatus {
		return w.do(Presence{PresenceEvent: &rousev1.PresenceEvent{DeviceId: "d", State: st, Session: session, Step: step}}).Reply.Status
	}
	for i, tc := range []struct {
		session, step uint64
		st            rousev1.SessionState
		want          rousev1.ItemStatus
		now           rousev1.SessionState
	}{
		{4, 0, connected, accepted, connected},
		{5, 0, connected, accepted, connected},
		{4, 1, disconnected, rousev1.ItemStatus_ITEM_STATUS_STALE, connected}, // the old node reports late
		{5, 0, connected, rousev1.ItemStatus_ITEM_STATUS_DUPLICATE, connected},
		{5, 2, disconnected, accepted, disconnected},
		{5, 1, background, rousev1.ItemStatus_ITEM_STATUS_STALE, disconnected},
		{6, 0, connected, accepted, connected},
	} {
		if got := send(tc.session, tc.step, tc.st); got != tc.want {
			t.Errorf("event %d: %v, want %v", i, got, tc.want)
		}
		if got := w.s.Devices[0].State; got != tc.now {
			t.Errorf("after event %d: %v, want %v", i, got, tc.now)
		}
	}
}

func TestUnknownUserAndNoBinding(t *testing.T) {
	w := newWorld(t, nil)
	_, got := w.message(nil)
	expect(t, got, map[string]string{">": "NO_USER"})
	if w.s.Known {
		t.Error("a message made a user")
	}
	w.session("phone", disconnected)
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>": "NO_BINDING"})
	w.session("phone", loggedOut)
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>": "LOGGED_OUT"})
}

func TestStaleDevice(t *testing.T) {
	w := offlinePhone(t)
	w.env.Now = t0.Add(30 * 24 * time.Hour)
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>apns": "QUEUED"})
	w.env.Now = w.env.Now.Add(time.Second)
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>": "STALE_DEVICE"})
}

func TestBindingChoice(t *testing.T) {
	w := offlinePhone(t)
	w.env.Now = t0.Add(time.Minute)
	w.bind("phone", "apns2", "bb")
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>apns2": "QUEUED"})

	w.bind("phone", "voip", "cc")
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>apns2": "QUEUED"})
	call := func(m *rousev1.MessageEvent) { m.Class = rousev1.MessageClass_MESSAGE_CLASS_CALL }
	_, got = w.message(call)
	expect(t, got, map[string]string{"phone>voip": "QUEUED"})

	w.do(&rousev1.UnbindTokenRequest{DeviceId: "phone", Notifier: "apns"})
	w.do(&rousev1.UnbindTokenRequest{DeviceId: "phone", Notifier: "apns2"})
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>": "NO_BINDING"})
}

func TestCredentialGates(t *testing.T) {
	w := newWorld(t, nil)
	w.bind("a", "gone", "1")
	w.bind("b", "off", "2")
	w.bind("c", "banned", "4")
	_, got := w.message(nil)
	expect(t, got, map[string]string{"a>": "NO_NOTIFIER", "b>": "NOTIFIER_DISABLED", "c>": "NOTIFIER_BANNED"})
	w.bind("a", "fcm", "3") // an older usable binding beats a newer useless one
	w.env.Now = t0.Add(time.Hour)
	w.bind("a", "gone", "1")
	_, got = w.message(nil)
	expect(t, got, map[string]string{"a>fcm": "QUEUED", "b>": "NOTIFIER_DISABLED", "c>": "NOTIFIER_BANNED"})
}

func TestBadge(t *testing.T) {
	w := offlinePhone(t)
	badge := func(edit func(*rousev1.MessageEvent)) int32 {
		w.message(edit)
		return w.s.Pending[len(w.s.Pending)-1].Verdicts[0].Badge
	}
	for i, want := range []int32{1, 2, 3} {
		if got := badge(nil); got != want {
			t.Errorf("push %d shows %d", i, got)
		}
	}
	if got := badge(func(m *rousev1.MessageEvent) { m.NoCount = true }); got != 3 {
		t.Errorf("uncounted message shows %d, want 3", got)
	}
	if got := badge(func(m *rousev1.MessageEvent) { m.Badge = proto.Uint32(77) }); got != 77 {
		t.Errorf("overridden badge is %d", got)
	}
	w.do(&rousev1.FetchedEvent{DeviceId: "phone"})
	if got := badge(nil); got != 1 {
		t.Errorf("after fetching the badge is %d", got)
	}
	w.session("phone", connected)
	if n := w.s.Devices[0].Count; n != 0 {
		t.Errorf("count %d after connecting", n)
	}
	w.env.App.NoBadge = true
	w.session("phone", disconnected)
	if got := badge(nil); got != -1 {
		t.Errorf("badge %d although the app shows none", got)
	}
}

func TestRepeatIsDuplicate(t *testing.T) {
	w := offlinePhone(t)
	m := &rousev1.MessageEvent{MessageId: "once", Sender: "bob"}
	w.do(Message{MessageEvent: m})
	d := w.do(Message{MessageEvent: m})
	if d.Reply.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE || len(d.Send) != 0 || w.s.Devices[0].Count != 1 {
		t.Errorf("repeat: %v, %d sends, count %d", d.Reply.Status, len(d.Send), w.s.Devices[0].Count)
	}
	d = w.do(Message{MessageEvent: &rousev1.MessageEvent{MessageId: "stored"}, Seen: true})
	if d.Reply.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE || len(d.Events) != 0 {
		t.Errorf("stored repeat: %v", d.Reply.Status)
	}
}

func TestDeviceReturns(t *testing.T) {
	w := offlinePhone(t)
	id, _ := w.message(nil)
	w.steps++
	d := w.do(Presence{PresenceEvent: &rousev1.PresenceEvent{DeviceId: "phone", State: connected, Session: 2, Step: w.steps}})
	if len(d.Cancel) != 1 || d.Cancel[0].Pending.Message != id || d.Cancel[0].Reason != rousev1.Reason_REASON_DEVICE_RETURNED {
		t.Fatalf("cancels %v", d.Cancel)
	}
	d = w.do(Ended{Message: id, Device: "phone", Notifier: "apns", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, Reason: rousev1.Reason_REASON_DEVICE_RETURNED})
	if len(w.s.Pending) != 0 || !d.Touched[0].done() {
		t.Error("the push did not end")
	}
	if d = w.do(Ended{Message: id, Device: "phone", Notifier: "apns"}); d.Reply.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
		t.Errorf("a second end was taken: %v", d.Reply.Status)
	}
}

func TestAwayDelay(t *testing.T) {
	set := func(t *testing.T) (*world, string) {
		w := newWorld(t, &rousev1.AppSettings{DevicePolicy: &rousev1.DevicePolicy{
			Policy: rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY, AwayDelay: durationpb.New(20 * time.Second),
		}})
		w.platform("desk", rousev1.Platform_PLATFORM_DESKTOP)
		w.session("desk", connected)
		w.bind("phone", "apns", "aa")
		id, got := w.message(nil)
		expect(t, got, map[string]string{"phone>apns": "DELAYED", "desk>": "DEVICE_ONLINE"})
		if due := w.s.NextDue(w.env.Now); !due.Equal(t0.Add(20 * time.Second)) {
			t.Fatalf("due %v", due)
		}
		return w, id
	}
	t.Run("pushed after the delay", func(t *testing.T) {
		w, _ := set(t)
		w.env.Now = t0.Add(20*time.Second - time.Millisecond)
		if d := w.do(Due{}); len(d.Send) != 0 {
			t.Fatal("sent too early")
		}
		w.env.Now = t0.Add(20 * time.Second)
		if d := w.do(Due{}); len(d.Send) != 1 {
			t.Fatal("not sent when due")
		}
	})
	t.Run("read in time", func(t *testing.T) {
		w, id := set(t)
		d := w.do(Read{ReadEvent: &rousev1.ReadEvent{MessageIds: []string{id}}})
		if len(d.Touched) != 1 || len(w.s.Pending) != 0 {
			t.Fatal("not withdrawn")
		}
		if v := d.Touched[0].Verdicts; v[1].Reason != rousev1.Reason_REASON_READ && v[0].Reason != rousev1.Reason_REASON_READ {
			t.Errorf("verdicts %v", v)
		}
	})
	t.Run("expired while waiting", func(t *testing.T) {
		w, _ := set(t)
		w.env.Now = t0.Add(25 * time.Hour)
		if d := w.do(Due{}); len(d.Send) != 0 || len(d.Touched) != 1 || len(w.s.Pending) != 0 {
			t.Errorf("%+v", d)
		}
	})
}

// TestDueWhenTheClockIsSet: what waits for a second or a delay is looked at when so
// much time has passed, whatever the clock says by then.
func TestDueWhenTheClockIsSet(t *testing.T) {
	w := offlinePhone(t)
	w.bind("tablet", "fcm", "bb")
	w.full["apns"] = true
	w.env.Now = stepped.Wall(w.env.Now, 0)
	w.message(nil)
	due := w.s.NextDue(w.env.Now)
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		if wait := due.Sub(stepped.Wall(w.env.Now, by)); wait > time.Second || wait < time.Second-time.Millisecond {
			t.Errorf("clock set by %s: it is looked at after %s, want a second", by, wait)
		}
	}
}

func TestFullLanes(t *testing.T) {
	w := offlinePhone(t)
	w.full["apns"] = true
	_, got := w.message(nil)
	expect(t, got, map[string]string{"refused": "ERROR_CODE_OVERLOADED"})
	if len(w.s.Pending) != 0 || w.s.Devices[0].Count != 0 {
		t.Error("a refused message left a trace")
	}
	w.bind("tablet", "fcm", "bb") // the dead vendor must not hold up the other
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>apns": "QUEUED", "tablet>fcm": "QUEUED"})
	if d := w.do(Due{}); len(d.Send) != 0 {
		t.Error("sent into a full lane")
	}
	w.full["apns"] = false
	if d := w.do(Due{}); len(d.Send) != 1 || w.s.NextDue(t0) != (time.Time{}) {
		t.Errorf("%d sends after room", len(d.Send))
	}
}
