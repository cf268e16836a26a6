package lane

import (
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
	if limit := r.s.pace.bucket.Limit(); limit != 20 {
		t.Fatalf("limit %v after one burst of 429s, want 20", limit)
	}
	r.advance(5*time.Second - 1)
	r.wantFlying("")
	r.advance(1)
	if len(r.flying) != 10 {
		t.Fatalf("%d in flight after the pause, want the burst of 10", len(r.flying))
	}
	second(r)
	if n := second(r); n < 18 || n > 22 {
		t.Errorf("%d sends in the second after, want 20 to 22", n)
	}
	for range 24 {
		second(r)
	}
	if limit := r.s.pace.bucket.Limit(); limit != 40 {
		t.Errorf("limit %v after 26 s, want 40", limit)
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
	if limit := r.s.pace.bucket.Limit(); limit < 10 || limit > 12 {
		t.Errorf("limit %v after 20 throttles, want the floor of 10 and what grew since", limit)
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
	r.advance(time.Minute)
	supply(r, 1)
	r.settle()
	if limit := r.s.pace.bucket.Limit(); limit < math.MaxFloat64 {
		t.Errorf("limit %v after a minute of peace, want none", limit)
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
