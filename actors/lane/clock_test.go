package lane

import (
	"testing"
	"time"

	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/internal/stepped"
	"github.com/rouse-im/rouse/vendors"
)

// clock is a wall clock that can be set.
type clock struct {
	passed time.Time
	ahead  time.Duration
}

func (c *clock) now() time.Time { return stepped.Wall(c.passed, c.ahead) }

// TestTimerWhenTheClockIsSet: a timer that was set for the vendor's midnight does
// not keep a lane from waking in time when the clock says that this is over.
func TestTimerWhenTheClockIsSet(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.dir.Put("app", "n", &script{max: 1}, Options{})
		a, c := &shell{lane: w.dir.Get("app", "n")}, clock{passed: time.Now()}
		a.arm(midnight(c.now(), time.UTC), c.now())
		c.ahead = 25 * time.Hour
		a.arm(c.now().Add(time.Second), c.now())
		if wait := a.armed.Sub(c.now()); wait != time.Second {
			t.Errorf("the next turn is in %s, want one in a second", wait)
		}
		a.timer.Stop()
	})
}

// TestQueueWhenTheClockIsSetBack: a pause until the vendor's midnight holds up nothing
// whose own pause is over.
func TestQueueWhenTheClockIsSetBack(t *testing.T) {
	c := clock{passed: time.Date(2026, 11, 26, 23, 59, 30, 0, time.UTC)}
	s := newState(Options{}.withDefaults(), &flight{max: 8})
	add := func(id string, order uint64, class vendors.Class, notBefore time.Time) *push {
		p := &push{d: &Dispatch{PushID: id, Order: order, N: &vendors.Notification{Class: class, Expires: c.now().Round(0).Add(24 * time.Hour)}}, notBefore: notBefore}
		p.level = levelOf(p.d.N)
		s.queue.add(p, c.now())
		return p
	}
	s.queue.paused[levelMarketing] = midnight(c.now(), time.UTC)
	add("waits for midnight", 1, vendors.ClassMarketing, time.Time{})
	minute := add("waits for a minute", 2, vendors.ClassIM, c.now().Add(time.Minute))
	c.passed, c.ahead = c.passed.Add(time.Second), -time.Hour
	second := add("waits for a second", 3, vendors.ClassIM, c.now().Add(time.Second))
	for _, p := range []*push{second, minute} {
		c.passed = c.passed.Add(time.Minute)
		s.queue.wake(c.now())
		if got := s.queue.next(c.now()); got != p {
			t.Fatalf("%s is not next", p.d.PushID)
		}
		s.dequeue(p, c.now())
	}
}

// TestQuotaWhenTheClockIsSet: a day that is over by the clock is over at once, and
// one that comes back is over at its own end.
func TestQuotaWhenTheClockIsSet(t *testing.T) {
	r := newRig(t, Options{Quota: Quota{Limits: [quota.Classes]uint64{classIM: 2}}}, 8)
	r.s.o.Quota.Account = &r.account
	c := clock{passed: time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)}
	set := func(ahead time.Duration) {
		c.passed, c.ahead = c.passed.Add(time.Second), ahead
		r.now = c.now()
		r.settle()
	}
	set(0)
	for _, id := range []string{"1", "2", "3"} {
		r.im(id, 1)
		if len(r.flying) > 0 {
			r.answer(0, accepted)
		}
	}
	r.wantEnded("3", "not ended")
	set(12 * time.Hour) // the next day
	r.wantFlying("3")
	r.answer(0, accepted)
	set(0)
	if use := r.s.quota.stats(r.now)[classIM]; !use.ResetsAt.Equal(midnight(r.now, time.UTC)) {
		t.Errorf("back on the day before the quota is renewed at %s", use.ResetsAt)
	}
}

// TestExpiryWhenTheClockIsSet: what waits for the vendor's next day expires when its
// life has passed. A clock that is set meanwhile neither ends it nor keeps it, nor does
// one that was wrong when it was decided, or is where it is taken in, keep it longer.
func TestExpiryWhenTheClockIsSet(t *testing.T) {
	const life = 30 * time.Minute
	for name, c := range map[string]struct {
		decider, taker, later time.Duration // ahead
		want                  time.Duration
	}{
		"set forth":              {0, 0, 10 * time.Minute, life},
		"set back":               {0, 0, -7 * time.Hour, life},
		"put right":              {time.Hour, time.Hour, 0, life},
		"decided by one ahead":   {7 * time.Hour, 0, 0, life},
		"taken in by one behind": {0, -time.Hour, -time.Hour, life},
		"decided by one behind":  {-10 * time.Minute, 0, 0, life - 10*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Options{Quota: Quota{Limits: [quota.Classes]uint64{classIM: 1}}}, 8)
			r.s.o.Quota.Account = &r.account
			clock := clock{passed: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
			decided := clock.passed.Add(c.decider)
			look := func(passed, ahead time.Duration) {
				clock.passed, clock.ahead = clock.passed.Add(passed), ahead
				r.now = clock.now()
				r.settle()
			}
			look(0, c.taker)
			r.im("first", 1)
			r.answer(0, accepted)
			r.enter(&push{d: &Dispatch{PushID: "p", Order: 1, Life: life, N: &vendors.Notification{Class: vendors.ClassIM, Expires: decided.Add(life)}}})
			look(c.want-time.Second, c.later)
			r.wantEnded("p", "not ended")
			look(time.Second, c.later)
			r.wantEnded("p", "EXPIRED/NOTIFIER_OUT_OF_QUOTA")
		})
	}
}
