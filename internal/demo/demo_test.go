package demo

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// part is how many lines of the day tests play: until tokens have died and their
// pushes have failed, vendors have throttled, access tokens have expired and
// pushes were opened.
const part = 3450

type run struct {
	lines  []Line
	played *played
}

// played once for all tests.
var once = sync.OnceValues(func() (run, error) {
	lines, err := parse(strings.NewReader(day))
	if err != nil {
		return run{}, err
	}
	r := run{lines: lines[:part]}
	r.played, err = play(context.Background(), Options{}, r.lines)
	return r, err
})

func playedPart(t *testing.T) run {
	t.Helper()
	if testing.Short() {
		t.Skip("plays a part of the day against a real node")
	}
	r, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Everything is accounted for, and the part of the day is worth the name.
func TestPartOfTheDay(t *testing.T) {
	r := playedPart(t)
	report := r.played.report(r.lines)
	for _, f := range report.Findings {
		t.Errorf("%s: %s", f.Breach, f.Where)
	}
	count := func(all []Count, what string) int {
		i := slices.IndexFunc(all, func(c Count) bool { return c.What == what })
		if i < 0 {
			return 0
		}
		return all[i].N
	}
	for vendor, name := range names {
		if count(report.Woken, name) == 0 {
			t.Errorf("nobody is woken by %s", vendor)
		}
	}
	for what, n := range map[string]int{
		"repeats": report.Repeats, "online": count(report.Suppressed, "device-online"), "no user": count(report.Suppressed, "no-user"),
		"modes": count(report.Suppressed, "mode-mention"), "quiet windows": count(report.Suppressed, "quiet-window"),
		"recalls": r.played.recalled(), "overwritten notifications": r.played.saying("A message was recalled"), "texts of the template": r.played.saying("is at the front desk."),
		"receipts": report.Reported, "taps": report.Clicked,
		"dead tokens": count(report.Failed, "token-invalid"), "badges": len(report.Badges),
	} {
		if n == 0 {
			t.Errorf("the part of the day has no %s", what)
		}
	}
	if report.Why == nil || len(report.Why.Steps) == 0 {
		t.Errorf("nothing is explained: %+v", report.Why)
	}
	for _, b := range report.Badges {
		if b.Said != b.Icon {
			t.Errorf("badge: %+v", b)
		}
	}
}

// Each promise that is broken on purpose is noticed.
func TestVerifyNoticesBreaches(t *testing.T) {
	r := playedPart(t)
	some := func(p *played, is func(*rousev1.Outcome) bool) (string, int) {
		for _, u := range slices.Sorted(maps.Keys(p.outcomes)) {
			if i := slices.IndexFunc(p.outcomes[u], is); i >= 0 {
				return u, i
			}
		}
		t.Fatal("no such outcome")
		return "", 0
	}
	isAccepted := func(o *rousev1.Outcome) bool {
		_, ok := shown(VendorOf(o.GetNotifier()), 0)
		return ok && o.GetStatus() == rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED && o.Badge != nil && o.GetBadge() < maxIcon && origin(o) == o.GetMessageId()
	}
	isSuppressed := func(o *rousev1.Outcome) bool {
		return o.GetStatus() == rousev1.OutcomeStatus_OUTCOME_STATUS_SUPPRESSED && o.GetDeviceId() != ""
	}
	accepted := func(p *played) *rousev1.Outcome { u, i := some(p, isAccepted); return p.outcomes[u][i] }
	drop := func(p *played, is func(*rousev1.Outcome) bool) {
		u, i := some(p, is)
		p.outcomes[u] = slices.Delete(p.outcomes[u], i, i+1)
	}
	for _, c := range []struct {
		want  Breach
		plant func(p *played)
	}{
		{Missing, func(p *played) { drop(p, isSuppressed) }},
		{Unknown, func(p *played) { drop(p, isAccepted) }},
		{Pending, func(p *played) { accepted(p).Status = rousev1.OutcomeStatus_OUTCOME_STATUS_PENDING }},
		{Unseen, func(p *played) { delete(p.seen.pushes, accepted(p).GetPushId()) }},
		{Astray, func(p *played) {
			o := accepted(p)
			twin := *p.seen.pushes[o.GetPushId()]
			twin.Token = "of somebody else"
			p.seen.pushes[o.GetPushId()] = &twin
		}},
		{BadBadge, func(p *played) { accepted(p).Badge = new(accepted(p).GetBadge() + 1) }},
		{Miscounted, func(p *played) {
			// The engine counts a message more, and shows it so.
			o := accepted(p)
			o.Badge = new(o.GetBadge() + 1)
			twin := *p.seen.pushes[o.GetPushId()]
			twin.Badge++
			p.seen.pushes[o.GetPushId()] = &twin
		}},
		{Unreported, func(p *played) {
			u, i := some(p, func(o *rousev1.Outcome) bool {
				bound := held(r.lines)
				return o.GetDeliveredAt() != nil && bound[binding{o.GetUserId(), o.GetDeviceId(), o.GetNotifier(), p.seen.token(o.GetPushId())}]
			})
			p.outcomes[u][i].DeliveredAt = nil
		}},
		{SameID, func(p *played) {
			u, i := some(p, isAccepted)
			p.outcomes[u] = append(p.outcomes[u], p.outcomes[u][i])
		}},
		{Doubled, func(p *played) {
			twin := *p.seen.pushes[accepted(p).GetPushId()]
			p.seen.pushes["another id"] = &twin
		}},
	} {
		t.Run(string(c.want), func(t *testing.T) {
			p := copyOf(r.played)
			c.plant(p)
			found := verify(r.lines, p)
			if !slices.ContainsFunc(found, func(f Finding) bool { return f.Breach == c.want }) {
				t.Errorf("found %v", found)
			}
		})
	}
}

// saying counts the pushes that a vendor took with these words.
func (p *played) saying(words string) (n int) {
	for _, s := range p.seen.pushes {
		if bytes.Contains(s.Raw, []byte(words)) {
			n++
		}
	}
	return n
}

// recalled counts the pushes that a recall cancelled or overwrote.
func (p *played) recalled() (n int) {
	for _, list := range p.outcomes {
		for _, o := range list {
			if o.GetReason() == rousev1.Reason_REASON_RECALLED || strings.Contains(o.GetMessageId(), own+"r") {
				n++
			}
		}
	}
	return n
}

func copyOf(p *played) *played {
	to := &played{verdicts: p.verdicts, outcomes: map[string][]*rousev1.Outcome{}, seen: newLedger(), icons: p.icons}
	for u, list := range p.outcomes {
		for _, o := range list {
			to.outcomes[u] = append(to.outcomes[u], proto.Clone(o).(*rousev1.Outcome))
		}
	}
	to.seen.pushes, to.seen.last, to.seen.taken = maps.Clone(p.seen.pushes), p.seen.last, p.seen.taken
	return to
}

func TestParseNamesTheLine(t *testing.T) {
	_, err := parse(strings.NewReader("{\"do\":\"up\",\"node\":\"a\"}\n{\"do\":\"up\",\"nodes\":\"b\"}\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), `"nodes"`) {
		t.Error(err)
	}
}

// A line that the engine refuses ends the replay and is named.
func TestReplayNamesTheLineThatFails(t *testing.T) {
	lines := []Line{
		{Do: Up, Node: "im-1"},
		{Do: Presence, Node: "im-1", User: "ann", Device: "phone", State: "disconnected", Session: 1},
		{Do: Bind, User: "ann", Device: "phone", Notifier: "nobody", Token: "aa"},
		{Do: Message, Node: "im-1", ID: "m1", From: "bob", To: []string{"ann"}},
	}
	_, err := play(t.Context(), Options{}, lines)
	if err == nil || !strings.Contains(err.Error(), "line 3 of the day (bind)") || !strings.Contains(err.Error(), "nobody") {
		t.Error(err)
	}
}

// What a vendor can be made to do, it does; what it cannot, it says.
func TestDisturbEachVendor(t *testing.T) {
	v, err := StartVendors(VendorsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if len(v.stations) != len(names) {
		t.Errorf("%d fakes of %d vendors", len(v.stations), len(names))
	}
	for vendor := range names {
		s, err := v.station(vendor)
		if err != nil {
			t.Fatal(err)
		}
		if _, sets := shown(vendor, 1); sets != (s.icon != nil) {
			t.Errorf("%s: sets the badge: %v; has an icon: %v", vendor, sets, s.icon != nil)
		}
		for _, f := range s.known() {
			if err := v.Disturb(Disturbance{Vendor: vendor, Fault: f, Times: 1, RetryAfter: time.Second}); err != nil {
				t.Errorf("%s=%s: %v", vendor, f, err)
			}
		}
		if err := v.Disturb(Disturbance{Vendor: vendor, Fault: "404"}); err == nil || !strings.Contains(err.Error(), "known are 429") {
			t.Errorf("%s: %v", vendor, err)
		}
	}
	if err := v.Heal("nokia"); err == nil || !strings.Contains(err.Error(), "known are apns, fcm, huawei") {
		t.Error(err)
	}
}

func TestVendorsStayOnLoopback(t *testing.T) {
	if _, err := StartVendors(VendorsOptions{Listen: "0.0.0.0:0"}); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Error(err)
	}
}
