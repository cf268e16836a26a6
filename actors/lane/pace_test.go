package lane

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/vendors"
)

// second lets a lane with endless supply and an instant vendor run for a second
// and returns its sends.
func second(r *rig) int {
	end, sends := r.now.Add(time.Second), 0
	for {
		for len(r.flying) > 0 {
			r.answer(0, accepted)
			sends++
		}
		if r.due.IsZero() || r.due.After(end) {
			r.advance(end.Sub(r.now))
			return sends
		}
		r.advance(r.due.Sub(r.now))
	}
}

func supply(r *rig, n int) {
	for i := range n {
		p := &push{d: &Dispatch{PushID: string(rune(0x4e00+i)) + r.now.String(), Order: uint64(i) + 1<<32, N: r.notification(vendors.ClassIM, time.Hour)}}
		r.s.dispatch(p, r.now)
		r.live = append(r.live, p)
		r.reserved++
	}
}

func TestSteadyRateUsesTheLimit(t *testing.T) {
	r := newRig(t, Options{PerSecond: 200}, 50)
	supply(r, 1000)
	r.settle()
	total := 0
	for range 4 {
		total += second(r)
	}
	if total < 4*200*97/100 || total > 4*200+20 {
		t.Errorf("%d sends in 4 s at 200/s with burst 20", total)
	}
	r.checkRate()
}

func TestThrottleHalvesOnceAndGrowsBack(t *testing.T) {
	r := newRig(t, Options{PerSecond: 40, Burst: 10}, 10)
	supply(r, 1100)
	r.settle()
	for range 9 {
		r.answer(0, throttled(vendors.ScopeCredential, 5*time.Second))
	}
	r.answer(0, accepted)
	if limit := r.s.pace.bucket.Limit(); limit != 15.5 {
		t.Fatalf("limit %v after one burst of 429s, want half of 31 (and 9 for the burst)", limit)
	}
	r.advance(5*time.Second - 1)
	r.wantFlying("")
	r.advance(1)
	if len(r.flying) != 10 {
		t.Fatalf("%d in flight after the pause, want the burst of 10", len(r.flying))
	}
	second(r)
	if n := second(r); n < 14 || n > 18 {
		t.Errorf("%d sends in the second after, want 15 to 17", n)
	}
	for range 24 {
		second(r)
	}
	if limit := r.s.pace.bucket.Limit(); limit != 31 {
		t.Errorf("limit %v after 26 s, want 31", limit)
	}
}

// One refusal at the configured rate, as jitter brings it about, costs little; a
// second one soon after says that the vendor grants less.
func TestJitterOnlyDentsTheRate(t *testing.T) {
	r := newRig(t, Options{PerSecond: 500}, 50)
	supply(r, 8000)
	r.settle()
	second(r)
	second(r)
	for len(r.flying) == 0 {
		r.advance(r.due.Sub(r.now))
	}
	r.answer(0, throttled(vendors.ScopeCredential, 0))
	total := 0
	for range 10 {
		total += second(r)
	}
	if total < 10*500*95/100 {
		t.Errorf("%d sends in the 10 s after one refusal at 500/s", total)
	}
	for len(r.flying) == 0 {
		r.advance(r.due.Sub(r.now))
	}
	r.answer(0, throttled(vendors.ScopeCredential, 0))
	if limit := r.s.pace.bucket.Limit(); limit > 250 {
		t.Errorf("limit %v after the second refusal within a minute, want half", limit)
	}
}

func TestThrottleNeverBelowTheFloor(t *testing.T) {
	r := newRig(t, Options{PerSecond: 160}, 1)
	supply(r, 100)
	r.settle()
	for range 20 {
		r.answer(0, throttled(vendors.ScopeCredential, time.Nanosecond))
		for len(r.flying) == 0 {
			r.advance(r.due.Sub(r.now))
		}
	}
	if limit := r.s.pace.bucket.Limit(); limit < 9.77 || limit > 12 {
		t.Errorf("limit %v after 20 throttles, want the floor of 9.8 and what grew since", limit)
	}
}

// Without a word about how long, the pause doubles from 1 s to 1 min and starts
// again after a success.
func TestThrottleWithoutRetryAfter(t *testing.T) {
	r := newRig(t, Options{PerSecond: 1e6}, 1)
	supply(r, 20)
	r.settle()
	var pauses []time.Duration
	throttle := func() {
		from := r.now
		r.answer(0, throttled(vendors.ScopeCredential, 0))
		for len(r.flying) == 0 {
			r.advance(r.due.Sub(r.now))
		}
		pauses = append(pauses, r.now.Sub(from).Round(time.Second))
	}
	for range 8 {
		throttle()
	}
	r.answer(0, accepted)
	for len(r.flying) == 0 {
		r.advance(r.due.Sub(r.now))
	}
	throttle()
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 1} {
		if pauses[i] != want*time.Second {
			t.Errorf("pauses %v: #%d should be %d s", pauses, i, want)
		}
	}
}

func TestUnlimitedLaneLearnsItsRate(t *testing.T) {
	r := newRig(t, Options{}, 100)
	supply(r, 1000)
	r.settle()
	for range 4 {
		for range 100 {
			r.answer(0, accepted)
		}
		r.advance(500 * time.Millisecond)
	}
	r.answer(0, throttled(vendors.ScopeCredential, time.Second))
	if limit := r.s.pace.bucket.Limit(); limit < 50 || limit > 150 {
		t.Errorf("limit %v after 200/s were too much, want about 100", limit)
	}
	found := r.s.pace.found
	peace := func(d time.Duration) {
		r.advance(d)
		supply(r, 1)
		r.settle()
		r.answer(0, accepted)
	}
	peace(130 * time.Second)
	if limit := r.s.pace.bucket.Limit(); limit != found*foundShare {
		t.Errorf("limit %v after two minutes of peace, want %v: a little below what was found", limit, found*foundShare)
	}
	for range 20 {
		peace(time.Minute)
	}
	if limit := r.s.pace.bucket.Limit(); limit != found*foundShare {
		t.Errorf("limit %v after a quiet time, which proves nothing; want %v", limit, found*foundShare)
	}
}

// A quiet lane that is throttled has not found a limit: it regains all soon.
func TestThrottlingThatSpeedDoesNotExplain(t *testing.T) {
	for _, o := range []Options{{}, {PerSecond: 1000}} {
		r := newRig(t, o, 1)
		supply(r, 200)
		r.settle()
		r.answer(0, accepted)
		r.answer(0, throttled(vendors.ScopeCredential, time.Second))
		if r.s.pace.found != 0 {
			t.Errorf("found %v", r.s.pace.found)
		}
		for range 40 {
			second(r)
		}
		supply(r, 1)
		r.settle()
		if limit := r.s.pace.bucket.Limit(); limit != r.s.pace.nominal {
			t.Errorf("limit %v 40 s later, want %v", limit, r.s.pace.nominal)
		}
	}
}

// A limit that was none is forgotten in some minutes, if there is anything to send.
func TestWrongLimitIsForgotten(t *testing.T) {
	const wrong, granted, minutes = 60, 3000, 20
	r := newRig(t, Options{PerSecond: granted}, 50)
	v := &meteredVendor{n: wrong}
	v.saturate(r, 2*time.Second, false)
	v.n = 1e9
	if r.s.pace.found < wrong/2 || r.s.pace.found > 2*wrong {
		t.Fatalf("found %v, want about %d", r.s.pace.found, wrong)
	}
	for range minutes * 6 {
		v.saturate(r, 50*time.Millisecond, false)
		r.advance(10 * time.Second)
	}
	if r.s.pace.found != 0 || r.s.pace.bucket.Limit() != r.s.pace.nominal {
		t.Errorf("after %d min the limit is %v", minutes, r.s.pace.bucket.Limit())
	}
}

// meteredVendor takes n in a second, requests or devices.
type meteredVendor struct {
	pushes  int // dispatched
	n       int
	sliding bool          // any second counts, else its own
	phase   time.Duration // of its own seconds
	taken   []time.Time
	refused []time.Time
	perPush bool
}

func (v *meteredVendor) answer(now time.Time, n int) answer {
	if !v.perPush {
		n = 1
	}
	from := now.Add(-time.Second)
	if !v.sliding {
		from = now.Add(v.phase).Truncate(time.Second).Add(-v.phase - 1)
	}
	i := len(v.taken)
	for i > 0 && v.taken[i-1].After(from) {
		i--
	}
	if len(v.taken)-i+n > v.n {
		v.refused = append(v.refused, now)
		return throttled(vendors.ScopeCredential, 0)
	}
	for range n {
		v.taken = append(v.taken, now)
	}
	return accepted
}

// saturate keeps the lane busy with the vendor for so long.
func (v *meteredVendor) saturate(r *rig, d time.Duration, group bool) {
	end := r.now.Add(d)
	for r.now.Before(end) {
		for len(r.s.pushes) < 120 {
			v.pushes++
			p := &push{d: &Dispatch{PushID: fmt.Sprint(v.pushes), Order: uint64(v.pushes), N: r.notification(vendors.ClassIM, 10*time.Hour), Shared: group}}
			p.d.N.Token = p.d.PushID
			r.s.dispatch(p, r.now)
			r.live, r.entered[p] = append(r.live, p), r.now
			r.reserved++
		}
		r.settle()
		for len(r.flying) > 0 {
			r.answer(0, v.answer(r.now, 1+len(r.flying[0].rest)))
		}
		r.sentAt = r.sentAt[:0]
		r.advance(min(r.due.Sub(r.now), end.Sub(r.now)))
	}
}

// With the vendor's rate set, nearly all of it is used and nothing is refused.
func TestConfiguredRateIsUsedAndKept(t *testing.T) {
	for _, n := range []int{10, 300} {
		for name, v := range map[string]*meteredVendor{
			"requests, its seconds": {n: n, phase: 300 * time.Millisecond},
			"requests, any second":  {n: n, sliding: true},
			"devices, any second":   {n: n, sliding: true, perPush: true},
		} {
			r := newRig(t, Options{PerSecond: float64(n), PerPush: v.perPush}, 50)
			if v.perPush {
				r.coalesce(100)
			}
			v.saturate(r, time.Minute, v.perPush)
			if used := len(v.taken); used < 60*n*97/100 || len(v.refused) > 0 {
				t.Errorf("%s, %d/s: %d of %d used, %d refused; want 97 %% and none", name, n, used, 60*n, len(v.refused))
			} else {
				t.Logf("%s, %d/s: %.1f %% used", name, n, float64(used)/float64(60*n)*100)
			}
		}
	}
}

// Without a rate the lane finds it with the first throttling, and does not run
// into it again within the minute, nor often later.
func TestUnknownRateIsFoundOnce(t *testing.T) {
	const n = 60
	minutes := 30
	if testing.Short() {
		minutes = 4
	}
	for name, v := range map[string]*meteredVendor{
		"its seconds, late":   {n: n, phase: 700 * time.Millisecond},
		"any second":          {n: n, sliding: true},
		"devices, any second": {n: n, sliding: true, perPush: true},
	} {
		r := newRig(t, Options{PerPush: v.perPush}, 50)
		if v.perPush {
			r.coalesce(20)
		}
		v.saturate(r, time.Duration(minutes)*time.Minute, v.perPush)
		var episodes []time.Time // more than a second apart
		for _, at := range v.refused {
			if len(episodes) == 0 || at.Sub(episodes[len(episodes)-1]) > time.Second {
				episodes = append(episodes, at)
			}
		}
		for i := 1; i < len(episodes); i++ {
			if apart := episodes[i].Sub(episodes[i-1]); apart < time.Minute {
				t.Errorf("%s: throttled again after %v", name, apart)
			}
		}
		used := float64(len(v.taken)) / float64(60*minutes*n)
		if used < 0.7 || len(episodes) > 5 {
			t.Errorf("%s: %.1f %% used and %d times throttled in %d min", name, used*100, len(episodes), minutes)
		}
		t.Logf("%s: %.1f %% used and %d times throttled in %d min", name, used*100, len(episodes), minutes)
	}
}

// Whatever a vendor asks for, the lane waits at most an hour (a quota: a day) and
// goes on.
func FuzzRetryAfter(f *testing.F) {
	for _, d := range []int64{0, -1, 1, math.MinInt64, math.MaxInt64, int64(time.Second), int64(1e9 * time.Second)} {
		for outcome := range uint8(9) {
			f.Add(d, outcome, outcome%2)
		}
	}
	f.Fuzz(func(t *testing.T, after int64, outcome, scope uint8) {
		r := newRig(t, Options{BreakerFailures: 1}, 1)
		r.dispatch("a", 1, r.notification(vendors.ClassIM, 48*time.Hour))
		r.answer(0, answer{res: vendors.Result{
			Outcome: vendors.Outcome(outcome), Scope: vendors.Scope(scope), RetryAfter: time.Duration(after),
		}})
		if r.ended["a"] != nil {
			return
		}
		if waits := outcome == uint8(vendors.Throttled) || outcome == uint8(vendors.QuotaExhausted); waits && len(r.flying) > 0 {
			t.Fatal("sent again without a pause")
		}
		most := retryAfterMax
		if vendors.Outcome(outcome) == vendors.QuotaExhausted {
			most = quotaPauseMax
		}
		for end := r.now.Add(most + time.Millisecond); len(r.flying) == 0; r.advance(r.due.Sub(r.now)) {
			if r.due.After(end) {
				t.Fatalf("next send after %v, want at most %v", r.due.Sub(time.Unix(1e9, 0)), most)
			}
		}
	})
}

func TestBackoffIsBoundedAndRepeatable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "base"))
		most := time.Duration(rapid.Int64Range(int64(base), math.MaxInt64).Draw(t, "most"))
		id := rapid.String().Draw(t, "id")
		attempts := rapid.IntRange(1, 1<<40).Draw(t, "attempts")
		d := backoff(base, most, id, attempts)
		if d < 1 || d > most || attempts < 20 && d > base<<(attempts-1) && base<<(attempts-1) > 0 {
			t.Fatalf("backoff %v", d)
		}
		if again := backoff(base, most, id, attempts); again != d {
			t.Fatalf("backoff %v, then %v", d, again)
		}
	})
}

// Full jitter: pauses of many pushes spread over the whole range.
func TestBackoffSpreads(t *testing.T) {
	var buckets [10]int
	for i := range 1000 {
		d := backoff(time.Second, time.Minute, string(rune(0x4e00+i)), 1)
		buckets[min(9, d*10/time.Second)]++
	}
	for i, n := range buckets {
		if n < 60 || n > 140 {
			t.Errorf("%d of 1000 pauses in tenth %d, want about 100", n, i)
		}
	}
}
