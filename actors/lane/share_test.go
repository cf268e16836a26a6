package lane

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// A lane of a shared rate sends nothing before it has a share, then at that
// share, and nothing after its time.
func TestLaneKeepsWithinItsShare(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		vendor := &script{max: 4}
		w.dir.Put("app", "n", vendor, Options{PerSecond: 1000, Shared: true})
		l := w.dir.Get("app", "n")
		w.pushMany(l, 3000, time.Minute)
		sends := func(d time.Duration) int {
			before := len(vendor.log())
			<-time.After(d)
			synctest.Wait()
			return len(vendor.log()) - before
		}
		if n := sends(5 * time.Second); n != 0 || !l.Stats().NoShare {
			t.Fatalf("%d sends without a share; %+v", n, l.Stats())
		}
		if s := l.Stats(); s.Demand(time.Now()) != 3000 {
			t.Errorf("demand %v, 3000 wait", s.Demand(time.Now()))
		}
		l.SetShare(100, time.Now().Add(3*time.Second))
		for i := range 3 {
			if n := sends(time.Second); n < 95 || n > 100 {
				t.Errorf("second %d: %d sends with a share of 100", i, n)
			}
		}
		if s := l.Stats(); s.PerSecond != 100 {
			t.Errorf("the rate in force is %v, the share 100", s.PerSecond)
		}
		if n := sends(2 * time.Second); n != 0 {
			t.Errorf("%d sends after the time of the share", n)
		}
		for range 4 { // renewed in time, and changed
			l.SetShare(200, time.Now().Add(3*time.Second))
			if n := sends(time.Second); n < 190 || n > 200 {
				t.Errorf("%d sends with a share of 200", n)
			}
		}
		l.SetShare(0, time.Now().Add(3*time.Second))
		if n := sends(time.Second); n != 0 {
			t.Errorf("%d sends with a share of nothing", n)
		}
		<-time.After(time.Minute)
		synctest.Wait()
		ended := map[rousev1.Reason]int{}
		w.mu.Lock()
		for _, e := range w.ended {
			ended[e.Reason]++
		}
		w.mu.Unlock()
		if sent := len(vendor.log()); ended[rousev1.Reason_REASON_NO_SHARE] != 3000-sent || ended[rousev1.Reason_REASON_DELIVERED_TO_VENDOR] != sent {
			t.Errorf("%d were sent; ended: %v", sent, ended)
		}
	})
}

// A new credential keeps the share; an unlimited lane needs none.
func TestShareOutlivesItsCredential(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, o := range []Options{{PerSecond: 1000, Shared: true}, {PerSecond: 2000, Shared: true}, {Shared: true}} {
			vendor := &script{max: 4}
			w.dir.Put("app", "n", vendor, o)
			l := w.dir.Get("app", "n")
			if o.PerSecond == 1000 {
				l.SetShare(100, time.Now().Add(time.Minute))
			}
			<-time.After(time.Second)
			for i := range 500 {
				w.push(l, newDispatch(fmt.Sprint(o.PerSecond, "/", i), uint64(i), time.Hour))
			}
			<-time.After(time.Second)
			synctest.Wait()
			n := len(vendor.log())
			if o.PerSecond > 0 && (n < 90 || n > 202) || o.PerSecond == 0 && n < 500 {
				t.Errorf("%+v: %d sends in a second", o, n)
			}
		}
	})
}

// Nodes that share a rate keep every second within it, however it is divided and
// throttled.
func TestSharesOfPacesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SampledFrom([]float64{10, 100, 500, 3000}).Draw(t, "rate")
		o := Options{PerSecond: whole, Shared: true}.withDefaults()
		now := time.Unix(1000, 0)
		paces := make([]pace, rapid.IntRange(1, 4).Draw(t, "nodes"))
		for i := range paces {
			paces[i] = newPace(o)
			paces[i].use(share{whole / float64(len(paces)), now.Add(time.Hour)}, now)
		}
		var sent []time.Time
		first := 0
		for range 3000 {
			now = now.Add(time.Millisecond)
			for i := range paces {
				for paces[i].take(now, 1) {
					sent = append(sent, now)
				}
			}
			for first < len(sent) && now.Sub(sent[first]) >= time.Second {
				first++
			}
			if n := float64(len(sent) - first); n > whole+float64(len(paces)) {
				t.Fatalf("%v in a second of %v", n, whole)
			}
		}
		if got := float64(len(sent)) / 3; got < whole*0.85 && whole/float64(len(paces)) > 10 {
			t.Fatalf("%v a second of %v are used by %d nodes", got, whole, len(paces))
		}
	})
}

// A limit that was found with a share scales with the share.
func TestFoundLimitScalesWithTheShare(t *testing.T) {
	o := Options{PerSecond: 1000, Shared: true}.withDefaults()
	now := time.Unix(1000, 0)
	p := newPace(o)
	p.use(share{1000, now.Add(time.Hour)}, now)
	p.taken.add(now, 400)
	p.throttle(now, 0, obstacle{}, now)
	found, ceiling, limit := p.found, p.ceiling, p.bucket.Limit()
	if found == 0 {
		t.Fatal("no limit was found")
	}
	p.use(share{500, now.Add(time.Hour)}, now)
	near := func(what string, got, want rate.Limit) {
		t.Helper()
		if got < want*0.99 || got > want*1.01 {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("the found limit", p.found, found/2)
	near("the ceiling", p.ceiling, ceiling/2)
	near("the rate", p.bucket.Limit(), limit/2)
	p.use(share{1000, now.Add(time.Hour)}, now)
	near("the found limit of the whole", p.found, found)
	p.use(share{0, now.Add(time.Hour)}, now)
	if !p.closed(now) || p.take(now.Add(time.Minute), 1) {
		t.Error("a share of nothing lets pushes go")
	}
}
