package lane

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/vendors"
)

func all(*Dispatch) bool { return true }

func TestForgetDropsWithoutAnEnd(t *testing.T) {
	r := newRig(t, Options{}, 1)
	r.im("flying", 1)
	r.im("behind", 1)
	r.im("other", 2)
	r.wantFlying("flying")
	if got := r.s.forget(func(d *Dispatch) bool { return d.Order == 1 }, r.now); len(got) != 1 || got[0].d.PushID != "flying" {
		t.Fatalf("in flight: %v", got)
	}
	if r.s.releases != 1 || len(r.s.ends) != 0 || len(r.s.pushes) != 2 {
		t.Fatalf("%d places released, %d ends, %d pushes", r.s.releases, len(r.s.ends), len(r.s.pushes))
	}
}

// A forgotten push in flight ends with a verdict, and is dropped without one.
func TestForgottenInFlight(t *testing.T) {
	for name, c := range map[string]struct {
		answer answer
		ends   int
	}{
		"accepted":  {accepted, 1},
		"rejected":  {said(vendors.Rejected), 1},
		"transient": {said(vendors.Transient), 0},
		"throttled": {throttled(vendors.ScopeDevice, time.Minute), 0},
		"silent":    {answer{kind: timedOut}, 0},
	} {
		s := newState(Options{}.withDefaults(), &flight{max: 1})
		now := time.Unix(1e9, 0)
		p := &push{d: &Dispatch{PushID: "p", Order: 1, N: &vendors.Notification{Expires: now.Add(time.Hour)}}}
		s.dispatch(p, now)
		s.settle(now)
		s.forget(all, now)
		p.answer = c.answer
		s.land(p, now)
		if len(s.ends) != c.ends || s.releases != 1 || len(s.pushes) != 0 || s.flight.n != 0 {
			t.Errorf("%s: %d ends, %d places released, %d pushes, %d in flight", name, len(s.ends), s.releases, len(s.pushes), s.flight.n)
		}
		if s.settle(now.Add(2 * time.Minute)); len(s.queue.bindings) != 0 {
			t.Errorf("%s: a binding is left", name)
		}
	}
}

// One that is dispatched anew while in flight is as if it had not been forgotten.
func TestForgottenComesBack(t *testing.T) {
	s := newState(Options{}.withDefaults(), &flight{max: 1})
	now := time.Unix(1e9, 0)
	d := &Dispatch{PushID: "p", Order: 1, N: &vendors.Notification{Expires: now.Add(time.Hour)}}
	p := &push{d: d}
	s.dispatch(p, now)
	s.settle(now)
	s.forget(all, now)
	s.dispatch(&push{d: d}, now)
	p.answer = answer{kind: timedOut}
	s.land(p, now)
	if s.retries != 1 || len(s.pushes) != 1 || s.releases != 1 {
		t.Errorf("%d retries, %d pushes, %d places released", s.retries, len(s.pushes), s.releases)
	}
}

// Whatever was dispatched, cancelled and answered before, a lane that forgot all
// has no push but those in flight, and gives every place back in the end.
func TestForgetLeavesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1e9, 0)
		s := newState(Options{}.withDefaults(), &flight{max: rapid.IntRange(1, 4).Draw(t, "max")})
		places, flying := 0, []*push(nil)
		turn := func() {
			s.settle(now)
			flying = append(flying, s.sends...)
			places -= s.releases
			s.reset()
		}
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			if len(flying) > 0 && rapid.Bool().Draw(t, "land") {
				p := flying[0]
				flying = flying[1:]
				p.answer = rapid.SampledFrom([]answer{accepted, said(vendors.Transient), {kind: timedOut}}).Draw(t, "answer")
				s.land(p, now)
			} else {
				n := &vendors.Notification{Expires: now.Add(10 * time.Second), CollapseID: rapid.SampledFrom([]string{"", "c"}).Draw(t, "collapse")}
				s.dispatch(&push{d: &Dispatch{PushID: fmt.Sprint(i), Order: uint64(i % 3), N: n}}, now)
				places++
			}
			turn()
		}
		left := s.forget(all, now)
		turn()
		if len(s.pushes) != len(left) || len(left) != len(flying) || s.queue.counts != [levels]int{} {
			t.Fatalf("%d pushes, %d in flight of %d, queued %v", len(s.pushes), len(left), len(flying), s.queue.counts)
		}
		for _, p := range flying {
			p.answer = answer{kind: timedOut}
			s.land(p, now)
		}
		flying = nil
		now = now.Add(time.Hour)
		turn()
		if places != 0 || len(s.pushes) != 0 || len(flying) != 0 {
			t.Fatalf("%d places taken, %d pushes, %d sent", places, len(s.pushes), len(flying))
		}
	})
}

// Forget calls back after the verdicts of the sends in flight, of all lanes, were told.
func TestForgetWaitsForSends(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		answer := make(chan struct{})
		for _, name := range []string{"apns", "fcm"} {
			w.dir.Put("app", name, &script{max: 1, do: func(context.Context, *vendors.Notification) (vendors.Result, error) {
				<-answer
				return vendors.Result{Outcome: vendors.Accepted}, nil
			}}, Options{})
			for i := range 3 {
				l := w.dir.Get("app", name)
				l.Reserve()
				l.Dispatch(&Dispatch{PushID: fmt.Sprint(name, i), Order: uint64(i), To: w.user, N: &vendors.Notification{Expires: time.Now().Add(time.Hour)}})
			}
		}
		synctest.Wait()
		told := make(chan int, 1)
		w.dir.Forget(w.user, func() {
			told <- 1
		})
		other := make(chan int, 1)
		w.dir.Forget(actor.NewPID("nonhost", "somebody else"), func() { other <- 1 })
		synctest.Wait()
		if len(told) != 0 || len(other) != 1 {
			t.Fatalf("called back before the sends ended: %d, for another shard: %d", len(told), len(other))
		}
		answer <- struct{}{}
		synctest.Wait()
		if len(told) != 0 {
			t.Fatal("called back while a lane has a send in flight")
		}
		answer <- struct{}{}
		synctest.Wait()
		if len(told) != 1 {
			t.Fatal("not called back")
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.ended) != 2 {
			t.Errorf("%d ends, want those of the two sends", len(w.ended))
		}
		for _, l := range w.dir.All() {
			if s := l.Stats(); s.Reserved != 0 {
				t.Errorf("%s: %d places are taken", s.Notifier, s.Reserved)
			}
		}
	})
}
