package user

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const marketed = rousev1.MessageClass_MESSAGE_CLASS_MARKETING

// capped is an offline phone whose vendor, in Shanghai, allows so many marketing
// pushes a day.
func capped(t testing.TB, limit uint16) *world {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	w := offlinePhone(t)
	n := w.env.App.Notifiers["apns"]
	n.MarketingCap, n.Zone = limit, zone
	w.env.App.Notifiers["apns"] = n
	return w
}

func (w *world) advertise() (message, verdict string) {
	w.t.Helper()
	id, got := w.message(func(m *rousev1.MessageEvent) { m.Class = marketed })
	for _, verdict = range got {
	}
	return id, verdict
}

func (w *world) end(message string, status rousev1.OutcomeStatus, inDoubt bool) {
	w.t.Helper()
	w.do(Ended{Message: message, Device: "phone", Notifier: "apns", Status: status, InDoubt: inDoubt})
}

const (
	took   = rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED
	failed = rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED
)

func TestMarketingCap(t *testing.T) {
	w := capped(t, 2)
	first, _ := w.advertise()
	w.advertise()
	if _, got := w.advertise(); got != "DEVICE_CAP" {
		t.Errorf("a third of the day: %s", got)
	}
	if _, got := w.message(nil); got["phone>apns"] != "QUEUED" {
		t.Errorf("a chat message: %v", got)
	}
	w.end(first, took, false)
	if _, got := w.advertise(); got != "DEVICE_CAP" {
		t.Errorf("after one was accepted: %s", got)
	}
	w.env.Now = time.Date(2026, 3, 1, 15, 59, 59, 0, time.UTC)
	if _, got := w.advertise(); got != "DEVICE_CAP" {
		t.Errorf("a second before midnight in Shanghai: %s", got)
	}
	w.env.Now = w.env.Now.Add(time.Second)
	if _, got := w.advertise(); got != "QUEUED" {
		t.Errorf("after midnight in Shanghai: %s", got)
	}
}

// What the vendor did not take is given back, whatever ended it; what it may
// have taken is not.
func TestMarketingGivenBack(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(w *world, id string)
		want string
	}{
		"failed":    {func(w *world, id string) { w.end(id, failed, false) }, "QUEUED"},
		"expired":   {func(w *world, id string) { w.end(id, rousev1.OutcomeStatus_OUTCOME_STATUS_EXPIRED, false) }, "QUEUED"},
		"cancelled": {func(w *world, id string) { w.end(id, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, false) }, "QUEUED"},
		"in doubt":  {func(w *world, id string) { w.end(id, failed, true) }, "DEVICE_CAP"},
		"accepted":  {func(w *world, id string) { w.end(id, took, false) }, "DEVICE_CAP"},
		"failed twice, told twice": {func(w *world, id string) {
			w.end(id, failed, false)
			w.advertise()
			w.end(id, failed, false)
		}, "DEVICE_CAP"},
	} {
		w := capped(t, 1)
		id, _ := w.advertise()
		c.end(w, id)
		if _, got := w.advertise(); got != c.want {
			t.Errorf("%s: then %s, want %s", name, got, c.want)
		}
	}
}

// A push that never got as far as a lane is given back, too.
func TestMarketingThatWaited(t *testing.T) {
	w := capped(t, 1)
	w.platform("desk", rousev1.Platform_PLATFORM_DESKTOP)
	w.session("desk", connected)
	w.env.App.Policy = Policy{Kind: rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY, Delay: time.Minute}
	w.message(func(m *rousev1.MessageEvent) { m.Class = marketed })
	if n := w.s.device("phone").binding("apns").Marketing.Count; n != 1 {
		t.Fatalf("%d counted for a delayed push, want 1", n)
	}
	w.session("phone", connected) // withdraws it
	if n := w.s.device("phone").binding("apns").Marketing; n != (Ledger{}) {
		t.Errorf("%+v after it was withdrawn", n)
	}
}

// Decided before midnight and taken after: it counts on the day it was taken.
func TestMarketingOverMidnight(t *testing.T) {
	w := capped(t, 1)
	late, _ := w.advertise()
	w.env.Now = time.Date(2026, 3, 1, 16, 0, 1, 0, time.UTC)
	w.end(late, took, false)
	if _, got := w.advertise(); got != "DEVICE_CAP" {
		t.Errorf("after one of yesterday was taken today: %s", got)
	}
}

func TestNoLedgerWithoutACap(t *testing.T) {
	w := offlinePhone(t)
	id, got := w.advertise()
	if got != "QUEUED" || w.s.Devices[0].Bindings[0].Marketing != (Ledger{}) {
		t.Errorf("%s, ledger %+v", got, w.s.Devices[0].Bindings[0].Marketing)
	}
	w.end(id, took, false)
	if w.s.Devices[0].Bindings[0].Marketing != (Ledger{}) {
		t.Error("a ledger without a cap")
	}
}

func TestBannedNotifier(t *testing.T) {
	w := offlinePhone(t)
	n := w.env.App.Notifiers["apns"]
	n.Banned, n.Disabled = true, true
	w.env.App.Notifiers["apns"] = n
	_, got := w.message(nil)
	expect(t, got, map[string]string{"phone>": "NOTIFIER_BANNED"})
	app := NewApp(nil, []*rousev1.Credential{{Name: "n", Banned: true, MarketingPerDevice: 3}})
	if n := app.Notifiers["n"]; !n.Banned || n.MarketingCap != 3 {
		t.Errorf("%+v", n)
	}
}

// In any order of decisions, ends and days, the device is sent no more marketing
// than its cap, and what is suppressed was suppressed for that reason.
func TestMarketingModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 3).Draw(rt, "cap")
		w := capped(t, uint16(limit))
		n := w.env.App.Notifiers["apns"]
		type push struct {
			id  string
			day uint16 // of its decision
		}
		var pushes []push                    // under way
		counted, late := map[uint16]int{}, 0 // by day; late came from another one
		rt.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {
				if today := n.day(w.env.Now); counted[today] > limit+late {
					rt.Fatalf("%d of day %d, at most %d may be", counted[today], today, limit)
				}
			},
			"advertise": func(*rapid.T) {
				today := n.day(w.env.Now)
				id, got := w.advertise()
				if want := counted[today] < limit; (got == "QUEUED") != want {
					rt.Fatalf("%s with %d counted today of %d", got, counted[today], limit)
				}
				if got == "QUEUED" {
					pushes = append(pushes, push{id, today})
					counted[today]++
				}
			},
			"end": func(rt *rapid.T) {
				if len(pushes) == 0 {
					return
				}
				p, today := pushes[0], n.day(w.env.Now)
				pushes = pushes[1:]
				taken := rapid.Bool().Draw(rt, "taken")
				w.end(p.id, map[bool]rousev1.OutcomeStatus{true: took, false: failed}[taken], false)
				switch {
				case p.day == today && !taken:
					counted[today]--
				case p.day != today && taken:
					counted[today]++
					late++
				}
			},
			"wait": func(rt *rapid.T) {
				w.env.Now = w.env.Now.Add(time.Duration(rapid.IntRange(0, 10).Draw(rt, "hours")) * time.Hour)
			},
		})
	})
}
