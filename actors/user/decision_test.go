package user

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Step 14: who was forced off stays off when his connection then goes, too; a
// later session ends it.
func TestStep14KickedUntilLogin(t *testing.T) {
	w := offlinePhone(t)
	w.session("phone", connected)
	w.session("phone", kicked)
	for _, then := range []rousev1.SessionState{disconnected, loggedOut} {
		w.session("phone", then)
		_, got := w.message(nil)
		expect(t, got, map[string]string{"phone>": "KICKED"})
	}
	w.bind("phone", "apns", "bb")
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>": "KICKED"})
	w.do(Presence{PresenceEvent: &rousev1.PresenceEvent{DeviceId: "phone", State: disconnected, Session: 2}})
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>apns": "QUEUED"})
}

// Step 14: who logged out has logged out, even if his connection goes after that.
func TestStep14LoggedOutUntilLogin(t *testing.T) {
	w := newWorld(t, nil)
	w.session("phone", loggedOut)
	w.session("phone", disconnected)
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>": "LOGGED_OUT"})
}

// Row 23: a device is stale when it was not connected for long, not when
// nothing was heard of its connection. One that is gone for good says so, even
// while the user is online elsewhere.
func TestRow23Stale(t *testing.T) {
	w := newWorld(t, nil)
	w.bind("phone", "apns", "aa")
	w.session("phone", connected)
	w.later(31 * 24 * time.Hour)
	w.dead["im1"] = true
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>apns": "QUEUED"})

	w.session("phone", disconnected)
	w.later(31 * 24 * time.Hour)
	w.dead["im1"] = false
	w.session("desk", connected)
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>": "STALE_DEVICE", "desk>": "DEVICE_ONLINE"})
}

// Row 45: a direct conversation has no managers.
func TestRow45Managers(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{Mode: managers})
	manager := func(m *rousev1.MessageEvent) { m.SenderIsManager = true }
	if got := w.verdict(manager); got != "pushed" {
		t.Error(got)
	}
	if got := w.verdict(nil); got != "MODE_MANAGERS" {
		t.Error(got)
	}
	if got := w.verdict(func(m *rousev1.MessageEvent) { manager(m); m.ConversationType = direct }); got != "MODE_MANAGERS" {
		t.Error(got)
	}
}

// Step 29: exists, valid, not banned, enabled, in this order.
func TestStep29Order(t *testing.T) {
	w := offlinePhone(t)
	for _, tc := range []struct {
		n    Notifier
		want string
	}{
		{Notifier{Invalid: true, Banned: true, Disabled: true}, "INVALID_NOTIFIER"},
		{Notifier{Banned: true, Disabled: true}, "NOTIFIER_BANNED"},
		{Notifier{Disabled: true}, "NOTIFIER_DISABLED"},
	} {
		w.env.App.Notifiers["apns"] = tc.n
		_, got := w.message(nil)
		expect(t, got, map[string]string{"phone>": tc.want})
	}
	delete(w.env.App.Notifiers, "apns")
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>": "NO_NOTIFIER"})
}

// Step 11: a banned user is not woken, and what waited for him is taken back; the
// messages count all the same.
func TestStep11BannedUser(t *testing.T) {
	w := offlinePhone(t)
	w.env.App.RefreshBadges, w.env.App.RecallOverwrites = true, true
	id, _ := w.message(nil)
	p := w.accept(id)
	w.message(nil)
	if d := w.do(&rousev1.BanUserRequest{Banned: true}); len(d.Cancel) != 1 || d.Cancel[0].Reason != rousev1.Reason_REASON_USER_BANNED {
		t.Errorf("taken back: %+v", d.Cancel)
	}
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>": "USER_BANNED"})
	if w.count("phone") != 3 {
		t.Errorf("count %d, want 3", w.count("phone"))
	}
	d := w.do(Recall{RecallEvent: &rousev1.RecallEvent{MessageId: id}, Found: []*Pending{p}})
	same(t, sends(d), nil)
	w.do(&rousev1.BanUserRequest{})
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>apns": "QUEUED"})
}

// Step 17: taking back a policy that was never set makes no user.
func TestStep17PolicyOfNobody(t *testing.T) {
	w := newWorld(t, nil)
	if d := w.do(&rousev1.SetUserPolicyRequest{UserId: "ann"}); d.Changed || w.s.Known {
		t.Error("a user was made")
	}
}

// Row 32: modes of the user and of a conversation are set apart, and told apart.
func TestRow32TwoLevels(t *testing.T) {
	w := offlinePhone(t)
	w.settings(&rousev1.UserSettings{Mode: none})
	w.conversation("team", all, -1)
	if got := w.verdict(nil); got != "pushed" {
		t.Error(got)
	}
	w.settings(&rousev1.UserSettings{Mode: all})
	w.conversation("team", none, -1)
	if got := w.verdict(nil); got != "MODE_NONE" {
		t.Error(got)
	}
	if got := w.verdict(func(m *rousev1.MessageEvent) { m.ConversationId = "other" }); got != "pushed" {
		t.Error(got)
	}
}

// Rows 73-75: the badge is the number of messages that the device has not
// fetched, whatever became of their pushes; each device counts its own, and
// connecting resets it.
func TestRow73BadgeIsTheOfflineCount(t *testing.T) {
	w := newWorld(t, &rousev1.AppSettings{DevicePolicy: &rousev1.DevicePolicy{Policy: rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ANY_OFFLINE}})
	for _, id := range []string{"phone", "pad"} {
		w.session(id, connected)
		w.bind(id, "apns", "token-"+id)
		w.session(id, disconnected)
	}
	w.message(nil)
	w.message(func(m *rousev1.MessageEvent) { m.IgnorePush = true })
	w.quietFor(time.Hour)
	w.message(nil)
	w.quietFor(0)
	w.message(nil)
	for _, v := range w.s.Pending[len(w.s.Pending)-1].Verdicts {
		if v.Badge != 4 {
			t.Errorf("%s shows %d, want 4", v.Device, v.Badge)
		}
	}
	w.session("pad", connected)
	w.message(nil)
	got := w.s.OfflineCount()
	if got.GetCount() != 5 || got.GetByDevice()["phone"] != 5 || got.GetByDevice()["pad"] != 0 {
		t.Errorf("offline counts %v", got)
	}
}

// Row 76: a badge that the message names is shown as it is, in every mode.
func TestRow76BadgeOfTheMessage(t *testing.T) {
	for _, mode := range []rousev1.BadgeMode{
		rousev1.BadgeMode_BADGE_MODE_OFFLINE_COUNT, rousev1.BadgeMode_BADGE_MODE_NONE, rousev1.BadgeMode_BADGE_MODE_BASE_PLUS,
	} {
		w := newWorld(t, &rousev1.AppSettings{BadgeMode: mode})
		w.bind("phone", "apns", "aa")
		for _, n := range []uint32{0, 42} {
			w.message(func(m *rousev1.MessageEvent) { m.Badge = new(n) })
			if got := w.s.Pending[len(w.s.Pending)-1].Verdicts[0].Badge; got != int32(n) {
				t.Errorf("%v: shows %d, want %d", mode, got, n)
			}
		}
	}
}

// Step 26: a call takes the VoIP channel alone, other messages never.
func TestStep26VoIP(t *testing.T) {
	call := func(m *rousev1.MessageEvent) { m.Class = rousev1.MessageClass_MESSAGE_CLASS_CALL }
	w := newWorld(t, &rousev1.AppSettings{PushAllBindings: true})
	w.bind("phone", "voip", "aa")
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>": "NO_BINDING"})
	w.bind("phone", "apns", "bb")
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>apns": "QUEUED"})
	_, got = w.message(call)
	expect(t, got, map[string]string{"phone>voip": "QUEUED"})
	_, got = w.message(func(m *rousev1.MessageEvent) {
		call(m)
		m.Filter = &rousev1.DeviceFilter{IgnoreNotifiers: []string{"voip"}}
	})
	expect(t, got, map[string]string{"phone>apns": "QUEUED"})
	w.env.App.Notifiers["voip"] = Notifier{VoIP: true, Disabled: true}
	_, got = w.message(call)
	expect(t, got, map[string]string{"phone>": "NOTIFIER_DISABLED"})
}

// Step 27: the newest usable binding, or all usable ones.
func TestStep27AllBindings(t *testing.T) {
	w := offlinePhone(t)
	w.later(time.Second)
	w.bind("phone", "apns2", "bb")
	w.later(time.Second)
	w.bind("phone", "off", "cc")
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>apns2": "QUEUED"})
	w.env.App.AllBindings = true
	_, got = w.message(nil)
	expect(t, got, map[string]string{"phone>apns": "QUEUED", "phone>apns2": "QUEUED"})
}

// Step 41: the time to live is the message's, else the app's, from when the
// message was sent on.
func TestStep41TimeToLive(t *testing.T) {
	w := newWorld(t, &rousev1.AppSettings{DefaultTtl: durationpb.New(time.Hour)})
	w.bind("phone", "apns", "aa")
	for _, tc := range []struct {
		ttl  *durationpb.Duration
		want time.Time
	}{
		{nil, t0.Add(time.Hour - time.Minute)},
		{durationpb.New(2 * time.Hour), t0.Add(2*time.Hour - time.Minute)},
	} {
		w.message(func(m *rousev1.MessageEvent) { m.Ttl, m.SentAt = tc.ttl, timestamppb.New(t0.Add(-time.Minute)) })
		if got := w.s.Pending[len(w.s.Pending)-1].Expires; got != tc.want.UnixMilli() {
			t.Errorf("ttl %v: expires %v, want %v", tc.ttl, time.UnixMilli(got).UTC(), tc.want)
		}
	}
}
