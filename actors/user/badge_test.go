package user

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// later lets a moment pass.
func (w *world) later(d time.Duration) { w.env.Now = w.env.Now.Add(d) }

// outcome ends every push as the vendor's, and returns the message for later.
func (w *world) accept(id string) *Pending {
	w.t.Helper()
	p := w.s.pending(id)
	if p == nil {
		w.t.Fatalf("%s is not pending", id)
	}
	for i := range p.Verdicts {
		if v := &p.Verdicts[i]; v.Stage == StageLane {
			b := w.s.device(v.Device).binding(v.Notifier)
			w.do(Ended{Message: id, Device: v.Device, Notifier: v.Notifier, Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Reason: rousev1.Reason_REASON_DELIVERED_TO_VENDOR, Sum: b.Sum})
		}
	}
	return p
}

func (w *world) count(device string) uint32 { return w.s.device(device).Count }

// sends are the badges of the pushes of a decision, by message mark and device.
func sends(d Decision) map[string]int32 {
	got := map[string]int32{}
	for _, p := range d.Send {
		v := &p.Pending.Verdicts[p.Verdict]
		kind := "message"
		switch {
		case isRefresh(p.Pending.Message):
			kind = "refresh"
		case isRecall(p.Pending.Message):
			kind = "recall"
		case isOverwrite(p.Pending.Message):
			kind = "edit"
		}
		got[kind+" "+v.Device] = v.Badge
	}
	return got
}

func same(t *testing.T, got, want map[string]int32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("pushes %v, want %v", got, want)
		return
	}
	for k, v := range want {
		if n, ok := got[k]; !ok || n != v {
			t.Errorf("pushes %v, want %v", got, want)
		}
	}
}

func TestBadgeCountsOnFromTheBase(t *testing.T) {
	w := newWorld(t, &rousev1.AppSettings{BadgeMode: rousev1.BadgeMode_BADGE_MODE_BASE_PLUS})
	w.bind("phone", "apns", "a")
	w.do(Presence{PresenceEvent: &rousev1.PresenceEvent{DeviceId: "phone", State: connected, Session: 1, Step: 1, BadgeBase: new(uint32(5))}})
	w.do(Presence{PresenceEvent: &rousev1.PresenceEvent{DeviceId: "phone", State: disconnected, Session: 1, Step: 2}})
	for want := int32(6); want < 9; want++ {
		id, _ := w.message(nil)
		if got := w.s.pending(id).Verdicts[0].Badge; got != want {
			t.Errorf("badge %d, want %d", got, want)
		}
	}
	d := w.do(&rousev1.SetBadgeRequest{DeviceId: "phone", Base: new(uint32(9998))})
	if got := d.Reply.Response.(*rousev1.SetBadgeResponse).GetBadge(); got != maxCount {
		t.Errorf("badge %d, want it to stop at %d", got, maxCount)
	}
	if d := w.do(&rousev1.SetBadgeRequest{DeviceId: "nowhere", Base: new(uint32(1))}); d.Reply.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_NOT_FOUND {
		t.Errorf("unknown device: %v", d.Reply)
	}
}

// A message read on the tablet is not counted on the phone any more, once; the
// phone is told silently.
func TestReadElsewhereLowersTheBadge(t *testing.T) {
	w := newWorld(t, &rousev1.AppSettings{RefreshBadges: true})
	w.bind("phone", "apns", "a")
	w.bind("pad", "fcm", "b")
	first, _ := w.message(nil)
	p1 := w.accept(first)
	w.later(time.Second)
	second, _ := w.message(nil)
	p2 := w.accept(second)
	read := func(p *Pending) Decision {
		return w.do(Read{ReadEvent: &rousev1.ReadEvent{MessageIds: []string{p.Message}}, Found: []*Pending{p}})
	}
	d := read(p1)
	same(t, sends(d), map[string]int32{"refresh phone": 1})
	if w.count("phone") != 1 || w.count("pad") != 1 {
		t.Errorf("counts %d and %d, want 1 and 1", w.count("phone"), w.count("pad"))
	}
	if d := read(p1); d.Reply.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE || len(d.Events) > 0 {
		t.Errorf("read twice: %+v", d)
	}
	// Fetched before it is read: not counted, so not taken out.
	w.later(time.Second)
	w.do(&rousev1.FetchedEvent{DeviceId: "phone"})
	w.later(time.Second)
	third, _ := w.message(nil)
	w.accept(third)
	d = read(p2)
	same(t, sends(d), nil)
	if w.count("phone") != 1 || w.count("pad") != 1 {
		t.Errorf("counts %d and %d, want 1 and 1", w.count("phone"), w.count("pad"))
	}
}

func TestRefreshGoesWhereItCan(t *testing.T) {
	for name, change := range map[string]func(*world){
		"app does not want it": func(w *world) { w.env.App.RefreshBadges = false },
		"no badges":            func(w *world) { w.env.App.NoBadge = true },
		"device online":        func(w *world) { w.session("phone", connected) },
		"kicked":               func(w *world) { w.session("phone", rousev1.SessionState_SESSION_STATE_KICKED) },
		"lane full":            func(w *world) { w.full["apns"] = true },
		"PushKit only": func(w *world) {
			w.do(&rousev1.UnbindTokenRequest{DeviceId: "phone", Notifier: "apns"})
			w.bind("phone", "voip", "v")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, &rousev1.AppSettings{RefreshBadges: true, ResetCountOnFetchOnly: true})
			w.session("phone", disconnected)
			w.bind("phone", "apns", "a")
			id, _ := w.message(nil)
			p := w.accept(id)
			change(w)
			d := w.do(Read{ReadEvent: &rousev1.ReadEvent{MessageIds: []string{id}}, Found: []*Pending{p}})
			same(t, sends(d), nil)
			if w.count("phone") != 0 {
				t.Errorf("count %d, want 0", w.count("phone"))
			}
		})
	}
}

// recallWorld has a phone, a pad and a message on its way to both.
func recallWorld(t *testing.T) (*world, *Pending, string) {
	w := newWorld(t, &rousev1.AppSettings{RecallOverwrites: true, RefreshBadges: true})
	w.bind("phone", "apns", "a")
	w.bind("pad", "fcm", "b")
	id, _ := w.message(nil)
	return w, w.s.pending(id), id
}

func recall(w *world, p *Pending, version uint32, edited *rousev1.Content) Decision {
	return w.do(Recall{RecallEvent: &rousev1.RecallEvent{MessageId: p.Message, Version: version, Edited: edited}, Found: []*Pending{p}})
}

func TestRecall(t *testing.T) {
	t.Run("shown", func(t *testing.T) {
		w, p, id := recallWorld(t)
		w.accept(id)
		d := recall(w, p, 0, nil)
		same(t, sends(d), map[string]int32{"recall phone": 0, "recall pad": 0})
		for _, s := range d.Send {
			if s.Pending.Payload.GetCollapseId() != p.collapse() || p.collapse() == "" {
				t.Errorf("it does not take the place of what was shown: %q", s.Pending.Payload.GetCollapseId())
			}
		}
		if d := recall(w, p, 1, nil); d.Reply.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE || len(d.Send) > 0 {
			t.Errorf("recalled twice: %+v", d)
		}
	})
	t.Run("in the lane", func(t *testing.T) {
		w, p, id := recallWorld(t)
		d := recall(w, p, 0, nil)
		if len(d.Cancel) != 2 {
			t.Errorf("%d pushes are withdrawn, want 2", len(d.Cancel))
		}
		same(t, sends(d), map[string]int32{"refresh phone": 0})
		// The vendor of the phone had it already.
		b := w.s.device("phone").binding("apns")
		d = w.do(Ended{Message: id, Device: "phone", Notifier: "apns", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Sum: b.Sum})
		same(t, sends(d), map[string]int32{"recall phone": 0})
		d = w.do(Ended{Message: id, Device: "pad", Notifier: "fcm", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, Sum: w.s.device("pad").binding("fcm").Sum})
		same(t, sends(d), nil)
	})
	t.Run("edited", func(t *testing.T) {
		w, p, id := recallWorld(t)
		d := recall(w, p, 1, &rousev1.Content{Body: "new"})
		same(t, sends(d), map[string]int32{"edit phone": 1, "edit pad": 1})
		w.accept(id)
		if d := recall(w, p, 3, &rousev1.Content{Body: "newer"}); len(d.Send) != 2 {
			t.Errorf("%d pushes, want 2", len(d.Send))
		}
		if d := recall(w, p, 2, nil); len(d.Send) != 0 {
			t.Error("an older change was carried out after a newer one")
		}
		if w.count("phone") != 1 {
			t.Errorf("an edit changed the count to %d", w.count("phone"))
		}
	})
	t.Run("online devices show it themselves", func(t *testing.T) {
		w, p, id := recallWorld(t)
		w.accept(id)
		w.session("phone", connected)
		same(t, sends(recall(w, p, 1, nil)), map[string]int32{"recall pad": 0})
	})
	t.Run("not wanted", func(t *testing.T) {
		w, p, id := recallWorld(t)
		w.env.App.RecallOverwrites, w.env.App.RefreshBadges = false, false
		w.accept(id)
		same(t, sends(recall(w, p, 1, nil)), nil)
		if w.count("phone") != 0 {
			t.Errorf("count %d, want 0", w.count("phone"))
		}
	})
	t.Run("before the message", func(t *testing.T) {
		w, _, _ := recallWorld(t)
		d := w.do(Recall{RecallEvent: &rousev1.RecallEvent{MessageId: "early"}})
		if len(d.Touched) != 1 || len(d.Send) != 0 || d.Touched[0].Verdicts[0].Reason != rousev1.Reason_REASON_RECALLED || !d.Touched[0].done() {
			t.Errorf("%+v", d)
		}
		edit := Recall{RecallEvent: &rousev1.RecallEvent{MessageId: "never", Edited: &rousev1.Content{Body: "new"}}}
		if d := w.do(edit); d.Reply.Status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE || len(d.Events) > 0 {
			t.Errorf("edit of an unknown message: %+v", d)
		}
	})
	t.Run("withdrawn stays withdrawn", func(t *testing.T) {
		w, p, id := recallWorld(t)
		w.accept(id)
		recall(w, p, 1, nil)
		if d := recall(w, p, 2, &rousev1.Content{Body: "back again"}); len(d.Send) > 0 || !p.Gone {
			t.Errorf("an edit showed what was withdrawn: %+v", d)
		}
	})
	t.Run("read before the edit was sent", func(t *testing.T) {
		w, p, id := recallWorld(t)
		w.accept(id)
		recall(w, p, 1, &rousev1.Content{Body: "new"})
		d := w.do(Read{ReadEvent: &rousev1.ReadEvent{MessageIds: []string{id}}, Found: []*Pending{p}})
		if len(d.Cancel) != 2 {
			t.Errorf("%d edits are withdrawn, want 2", len(d.Cancel))
		}
	})
}

// Each binding was shown the message, and an edit shows it too.
func TestRecallReachesAllThatShows(t *testing.T) {
	t.Run("all bindings of a device", func(t *testing.T) {
		w, _, _ := recallWorld(t)
		w.env.App.AllBindings = true
		w.bind("pad", "apns", "c")
		id, _ := w.message(nil)
		p := w.s.pending(id)
		w.accept(id)
		d := recall(w, p, 1, nil)
		ids := map[string]bool{}
		for _, push := range d.Send {
			v := &push.Pending.Verdicts[push.Verdict]
			ids[push.Pending.Message] = true
			if v.Badge != 1 {
				t.Errorf("%s of %s shows %d, want 1: that of the first message", v.Notifier, v.Device, v.Badge)
			}
		}
		if len(d.Send) != 3 || len(ids) != 3 {
			t.Errorf("%d pushes of %d messages, want 3 of 3", len(d.Send), len(ids))
		}
	})
	t.Run("edited and then recalled in the lane", func(t *testing.T) {
		w, p, _ := recallWorld(t)
		edits := recall(w, p, 1, &rousev1.Content{Body: "new"}).Send
		d := recall(w, p, 2, nil)
		if len(d.Cancel) != 4 {
			t.Errorf("%d pushes are withdrawn, want the message's 2 and the 2 that change it", len(d.Cancel))
		}
		// The vendor of the phone had the new words already.
		e := edits[0].Pending
		d = w.do(Ended{Message: e.Message, Device: "phone", Notifier: "apns", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Sum: w.s.device("phone").binding("apns").Sum})
		same(t, sends(d), map[string]int32{"recall phone": 0})
		if o := d.Send[0].Pending; o.Payload.GetCollapseId() != p.collapse() || o.Payload.GetMessageId() != p.Message {
			t.Errorf("it does not take the place of what was shown: %v", o.Payload)
		}
	})
	t.Run("an edit in the lane recalled", func(t *testing.T) {
		w, p, id := recallWorld(t)
		w.accept(id)
		edits := recall(w, p, 1, &rousev1.Content{Body: "new"}).Send
		d := recall(w, p, 2, nil)
		if len(d.Cancel) != 2 {
			t.Errorf("%d pushes are withdrawn, want the 2 that change it", len(d.Cancel))
		}
		same(t, sends(d), map[string]int32{"recall phone": 0, "recall pad": 0})
		d = w.do(Ended{Message: edits[0].Pending.Message, Device: "phone", Notifier: "apns", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Sum: w.s.device("phone").binding("apns").Sum})
		same(t, sends(d), nil) // the recall follows it already
	})
}

// Delays do not follow a clock that is set back behind the decision.
func TestDelayWithAClockThatJumps(t *testing.T) {
	w := newWorld(t, &rousev1.AppSettings{DevicePolicy: &rousev1.DevicePolicy{Policy: rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY}})
	w.bind("phone", "apns", "a")
	w.platform("pc", rousev1.Platform_PLATFORM_DESKTOP)
	w.session("pc", connected)
	w.message(nil)
	if due := w.s.NextDue(w.env.Now); !due.Equal(w.env.Now.Add(DefaultAwayDelay)) {
		t.Fatalf("due at %v", due)
	}
	w.later(-time.Hour)
	if due := w.s.NextDue(w.env.Now); due.After(w.env.Now) {
		t.Errorf("due at %v, %v from now", due, due.Sub(w.env.Now))
	}
	same(t, sends(w.do(Due{})), map[string]int32{"message phone": 1})
}

// Whatever is decided, fetched, read and recalled in whatever order and how
// often, and whatever the clock says: a device counts the messages that it was not online for, has not
// fetched, and that were neither read nor recalled.
func TestCountsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, &rousev1.AppSettings{RecallOverwrites: true, RefreshBadges: rapid.Bool().Draw(t, "refresh"), ResetCountOnFetchOnly: true})
		w.bind("phone", "apns", "a")
		w.bind("pad", "fcm", "b")
		want := map[string]map[string]bool{"phone": {}, "pad": {}}
		var all []*Pending
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.later(rapid.SampledFrom([]time.Duration{time.Millisecond, 0, time.Second, -time.Second, time.Hour, -time.Hour}).Draw(t, "clock"))
			device := rapid.SampledFrom([]string{"phone", "pad"}).Draw(t, "device")
			var old *Pending
			if len(all) > 0 {
				old = rapid.SampledFrom(all).Draw(t, "message")
			}
			switch what := rapid.SampledFrom([]string{"message", "message", "fetch", "read", "recall", "session"}).Draw(t, "what"); {
			case what == "message":
				id, _ := w.message(nil)
				p := w.s.pending(id)
				for d := range want {
					if !w.s.device(d).online(&w.env) {
						want[d][id] = true
					}
				}
				if p != nil {
					all = append(all, p)
				}
			case what == "fetch":
				w.do(&rousev1.FetchedEvent{DeviceId: device})
				want[device] = map[string]bool{}
			case what == "session":
				w.session(device, rapid.SampledFrom([]rousev1.SessionState{connected, disconnected}).Draw(t, "state"))
			case old == nil:
			case what == "read":
				w.do(Read{ReadEvent: &rousev1.ReadEvent{MessageIds: []string{old.Message}}, Found: []*Pending{old}})
				delete(want["phone"], old.Message)
				delete(want["pad"], old.Message)
			case what == "recall":
				w.do(Recall{RecallEvent: &rousev1.RecallEvent{MessageId: old.Message, Version: rapid.Uint32Range(1, 3).Draw(t, "version")}, Found: []*Pending{old}})
				delete(want["phone"], old.Message)
				delete(want["pad"], old.Message)
			}
			for d, ids := range want {
				if got := w.count(d); int(got) != len(ids) {
					t.Fatalf("%s counts %d, want %d", d, got, len(ids))
				}
			}
		}
	})
}
