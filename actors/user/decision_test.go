package user

import (
	"testing"
	"time"

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

// Step 17: taking back a policy that was never set makes no user.
func TestStep17PolicyOfNobody(t *testing.T) {
	w := newWorld(t, nil)
	if d := w.do(&rousev1.SetUserPolicyRequest{UserId: "ann"}); d.Changed || w.s.Known {
		t.Error("a user was made")
	}
}
