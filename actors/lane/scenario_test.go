package lane

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rouse-im/rouse/vendors"
)

type sendFunc = func(context.Context, *vendors.Notification) (vendors.Result, error)

// until answers with a before the given time since the start, and accepts after.
func until(end time.Duration, a vendors.Result) sendFunc {
	return func(context.Context, *vendors.Notification) (vendors.Result, error) {
		if time.Since(origin) < end {
			return a, nil
		}
		return vendors.Result{Outcome: vendors.Accepted}, nil
	}
}

// hang answers nothing until the context ends.
func hang(ctx context.Context, _ *vendors.Notification) (vendors.Result, error) {
	<-ctx.Done()
	return vendors.Result{}, fmt.Errorf("post: %w", ctx.Err())
}

func (w *world) pushMany(l *Lane, n int, ttl time.Duration) {
	w.t.Helper()
	for i := range n {
		w.push(l, newDispatch(fmt.Sprint("p", i), uint64(i), ttl))
	}
}

func (w *world) wantAll(n int, want string) {
	w.t.Helper()
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprint("p", i)] = want
	}
	w.want(all)
}

// 429 with Retry-After: nothing is sent within the pause, all of it after.
func TestThrottledVendor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		vendor := &script{max: 10, do: until(time.Second, vendors.Result{Outcome: vendors.Throttled, RetryAfter: 30 * time.Second})}
		w.dir.Put("app", "n", vendor, Options{PerSecond: 100})
		w.pushMany(w.dir.Get("app", "n"), 50, time.Hour)
		<-time.After(time.Minute)
		for i, s := range vendor.log() {
			if s.At > 0 && s.At < 30*time.Second {
				t.Errorf("send %d at %v, within the pause", i, s.At)
			}
		}
		if n := len(vendor.log()); n <= 50 || n > 60 {
			t.Errorf("%d sends, want 50 accepted and those throttled that were in flight together, at most 10", n)
		}
		synctest.Wait()
		if len(w.verdicts()) != 50 {
			t.Errorf("%d ended, want 50", len(w.verdicts()))
		}
	})
}

func TestHangingVendor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.dir.Put("app", "n", &script{max: 1, do: hang}, Options{BackoffMax: time.Millisecond})
		w.push(w.dir.Get("app", "n"), newDispatch("a", 1, 20*time.Second))
		<-time.After(15*time.Second + 500*time.Millisecond)
		w.want(map[string]string{})
		// The second send is cut 2 s after the push expired.
		<-time.After(6 * time.Second)
		w.want(map[string]string{})
		<-time.After(time.Second)
		w.want(map[string]string{"a": "EXPIRED/VENDOR_TIMEOUT/2"})
	})
}

// Ten minutes of 5xx lose nothing that may wait an hour, and cost few sends.
func TestVendorDownForTenMinutes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		vendor := &script{max: 10, do: until(10*time.Minute, vendors.Result{Outcome: vendors.Transient, Code: "503"})}
		w.dir.Put("app", "n", vendor, Options{})
		l := w.dir.Get("app", "n")
		w.pushMany(l, 100, time.Hour)
		<-time.After(9 * time.Minute)
		if s := l.Stats(); s.Breaker != BreakerOpen || s.Reserved != 100 {
			t.Errorf("after 9 min: breaker %v, %d reserved", s.Breaker, s.Reserved)
		}
		if n := len(vendor.log()); n > 50 {
			t.Errorf("%d sends to a vendor that is down", n)
		}
		<-time.After(3 * time.Minute)
		synctest.Wait()
		for id, v := range w.verdicts() {
			if v[:8] != "ACCEPTED" {
				t.Errorf("%s: %s", id, v)
			}
		}
		if s := l.Stats(); s.Reserved != 0 || s.Breaker != BreakerClosed {
			t.Errorf("in the end: breaker %v, %d reserved", s.Breaker, s.Reserved)
		}
	})
}

// A credential that is replaced in time loses nothing; the old sender is closed
// when its last send has ended.
func TestCredentialFixedByPut(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		slow := func(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
			<-time.After(5 * time.Second)
			return vendors.Result{Outcome: vendors.CredentialBad, Code: "InvalidProviderToken"}, nil
		}
		bad, good := &script{max: 3, do: slow}, &script{max: 3}
		w.dir.Put("app", "n", bad, Options{})
		l := w.dir.Get("app", "n")
		w.pushMany(l, 20, time.Hour)
		w.push(l, newDispatch("short", 100, 20*time.Second))
		<-time.After(37 * time.Second) // a probe is out since 35 s
		w.want(map[string]string{"short": "EXPIRED/CREDENTIAL_REJECTED/0"})
		w.dir.Put("app", "n", good, Options{})
		synctest.Wait()
		if n := len(w.verdicts()); n != 20 || bad.isClosed() {
			t.Errorf("%d ended, old sender closed: %v; want 20, the probe still out", n, bad.isClosed())
		}
		<-time.After(4 * time.Second)
		synctest.Wait()
		if n := len(w.verdicts()); n != 21 || !bad.isClosed() || good.isClosed() {
			t.Errorf("%d ended, closed: old %v, new %v", n, bad.isClosed(), good.isClosed())
		}
	})
}

// A dead vendor does not delay another.
func TestBulkhead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dead := &script{max: 100, do: hang}
		w.dir.Put("app", "dead", dead, Options{})
		w.dir.Put("app", "n", &script{max: 2}, Options{})
		for i := range 1000 {
			w.push(w.dir.Get("app", "dead"), newDispatch(fmt.Sprint("dead", i), uint64(i), time.Hour))
		}
		w.pushMany(w.dir.Get("app", "n"), 100, time.Second)
		w.wantAll(100, "ACCEPTED/DELIVERED_TO_VENDOR/1") // at once: no time has passed
		if n := len(dead.log()); n != 100 {
			t.Errorf("%d sends at once to the dead vendor, want its 100", n)
		}
	})
}

// Six hours without a vendor at peak: memory is bounded by the reservation, the
// refused ones are told so at once, and the admitted ones end.
func TestQueueBoundWhileVendorIsDown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.dir.Put("app", "n", &script{max: 4, do: hang}, Options{QueueLimit: 100})
		l := w.dir.Get("app", "n")
		admitted, refused := 0, 0
		for i := range 6 * 3600 / 20 {
			for j := range 20 {
				if !l.Reserve() {
					refused++
					continue
				}
				admitted++
				d := newDispatch(fmt.Sprint(i, "-", j), uint64(j), time.Hour)
				d.To = w.user
				l.Dispatch(d)
			}
			<-time.After(20 * time.Second)
			if n := l.Stats().Reserved; n > 100 {
				t.Fatalf("%d reserved, at most 100 may be", n)
			}
		}
		<-time.After(2 * time.Hour)
		synctest.Wait()
		if n := len(w.verdicts()); n != admitted || refused == 0 || l.Stats().Reserved != 0 {
			t.Errorf("%d admitted, %d refused, %d ended, %d still reserved", admitted, refused, n, l.Stats().Reserved)
		}
	})
}

func TestReservation(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.dir.Put("app", "n", &script{max: 1}, Options{QueueLimit: 2})
		l := w.dir.Get("app", "n")
		got := []bool{l.Reserve(), l.Reserve(), l.Reserve()}
		l.Release()
		got = append(got, l.Reserve())
		l.ForceReserve()
		l.Release()
		got = append(got, l.Reserve())
		if diff := cmp.Diff([]bool{true, true, false, true, false}, got); diff != "" {
			t.Errorf("reserve (-want +got):\n%s", diff)
		}
		w.dir.Put("app", "n", &script{max: 1}, Options{QueueLimit: 3})
		if !l.Reserve() {
			t.Error("no room under the new limit")
		}
	})
}

// A dispatch that is repeated after the restart of its shard moves the Ended to
// the new asker and counts once.
func TestRepeatedDispatch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		vendor := &script{max: 1, do: until(time.Second, vendors.Result{Outcome: vendors.Transient, RetryAfter: 2 * time.Second})}
		w.dir.Put("app", "n", vendor, Options{})
		l := w.dir.Get("app", "n")
		l.ForceReserve()
		l.Dispatch(newDispatch("a", 1, time.Hour)) // tells nobody
		<-time.After(time.Second)
		w.push(l, newDispatch("a", 1, time.Hour))
		<-time.After(time.Minute)
		w.want(map[string]string{"a": "ACCEPTED/DELIVERED_TO_VENDOR/2"})
		if n := l.Stats().Reserved; n != 0 {
			t.Errorf("%d reserved in the end, want 0", n)
		}
	})
}

func TestPanickingSender(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		poison := func(_ context.Context, n *vendors.Notification) (vendors.Result, error) {
			if n.PushID == "poison" {
				panic("poison")
			}
			return vendors.Result{Outcome: vendors.Accepted}, nil
		}
		w.dir.Put("app", "n", &script{max: 1, do: poison}, Options{})
		l := w.dir.Get("app", "n")
		w.push(l, newDispatch("poison", 1, time.Hour))
		w.push(l, newDispatch("good", 2, time.Hour))
		<-time.After(time.Minute)
		w.want(map[string]string{"poison": "FAILED/PAYLOAD_REJECTED/3", "good": "ACCEPTED/DELIVERED_TO_VENDOR/1"})
	})
}

func TestCancelThroughTheLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.dir.Put("app", "n", &script{max: 1, do: hang}, Options{})
		l := w.dir.Get("app", "n")
		for _, id := range []string{"flying", "queued"} {
			w.push(l, newDispatch(id, 1, time.Hour))
			l.Cancel(&Cancel{id, 5, 51}) // CANCELLED, READ
		}
		w.want(map[string]string{"queued": "CANCELLED/READ/0"})
		<-time.After(16 * time.Second)
		w.want(map[string]string{"queued": "CANCELLED/READ/0", "flying": "CANCELLED/READ/1"})
	})
}

func TestRemoveLane(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		vendor := &script{max: 1, do: hang}
		w.dir.Put("app", "n", vendor, Options{})
		l := w.dir.Get("app", "n")
		w.pushMany(l, 3, time.Hour)
		synctest.Wait()
		w.dir.Remove("app", "n")
		w.dir.Remove("app", "n")
		if w.dir.Get("app", "n") != nil {
			t.Error("a removed lane is still there")
		}
		w.push(l, newDispatch("while it stops", 9, time.Hour))
		w.want(map[string]string{
			"p1": "FAILED/NO_NOTIFIER/0", "p2": "FAILED/NO_NOTIFIER/0", "while it stops": "FAILED/NO_NOTIFIER/0",
		})
		<-time.After(16 * time.Second)
		synctest.Wait()
		w.push(l, newDispatch("after the stop", 9, time.Hour))
		w.want(map[string]string{
			"p0": "FAILED/NO_NOTIFIER/1", "p1": "FAILED/NO_NOTIFIER/0", "p2": "FAILED/NO_NOTIFIER/0",
			"while it stops": "FAILED/NO_NOTIFIER/0", "after the stop": "FAILED/NO_NOTIFIER/0",
		})
		if !vendor.isClosed() || l.Stats().Reserved != 0 {
			t.Errorf("sender closed: %v, %d reserved", vendor.isClosed(), l.Stats().Reserved)
		}
	})
}

// Close lets the sends in flight end and leaves the rest without an end.
func TestCloseDrains(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		slow := func(context.Context, *vendors.Notification) (vendors.Result, error) {
			<-time.After(3 * time.Second)
			return vendors.Result{Outcome: vendors.Accepted}, nil
		}
		vendor, late := &script{max: 2, do: slow}, &script{max: 1}
		w.dir.Put("app", "n", vendor, Options{})
		l := w.dir.Get("app", "n")
		w.pushMany(l, 5, time.Minute)
		synctest.Wait()
		if err := w.dir.Close(t.Context()); err != nil {
			t.Error(err)
		}
		w.dir.Put("app", "late", late, Options{})
		w.push(l, newDispatch("after the stop", 9, time.Hour))
		<-time.After(time.Hour)
		w.want(map[string]string{"p0": "ACCEPTED/DELIVERED_TO_VENDOR/1", "p1": "ACCEPTED/DELIVERED_TO_VENDOR/1"})
		if !vendor.isClosed() || !late.isClosed() {
			t.Errorf("closed: the sender %v, a late one %v", vendor.isClosed(), late.isClosed())
		}
	})
}

func TestCloseCutsOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		deaf := make(chan struct{})
		w.dir.Put("app", "hangs", &script{max: 1, do: hang}, Options{})
		w.dir.Put("app", "deaf", &script{max: 1, do: func(context.Context, *vendors.Notification) (vendors.Result, error) {
			<-deaf
			return vendors.Result{}, errors.New("no answer")
		}}, Options{})
		w.push(w.dir.Get("app", "hangs"), newDispatch("a", 1, time.Hour))
		w.push(w.dir.Get("app", "deaf"), newDispatch("b", 1, time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		err := w.dir.Close(ctx)
		if err == nil || err.Error() != "lane app/deaf: a send ignores its context; its push may be sent again after the restart" {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(started); took != time.Second+abortGrace {
			t.Errorf("close took %v", took)
		}
		close(deaf)
		w.want(map[string]string{})
	})
}

func TestMetrics(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(w.dir)
		w.dir.Put("app", "n", &script{max: 1, do: until(time.Second, vendors.Result{Outcome: vendors.Transient})}, Options{Quota: Quota{Limits: [classes]uint64{classIM: 10}}})
		w.pushMany(w.dir.Get("app", "n"), 2, time.Hour)
		<-time.After(time.Minute)
		synctest.Wait()
		w.push(w.dir.Get("app", "n"), newDispatch("last", 1, time.Hour))
		synctest.Wait()
		got := gather(t, reg)
		retries := got["rouse_lane_retries_total app n"]
		if retries < 2 {
			t.Errorf("%v retries, want at least one per push", retries)
		}
		want := map[string]float64{
			"rouse_lane_answers_total app n accepted":                                   3,
			"rouse_lane_answers_total app n transient":                                  retries,
			"rouse_lane_retries_total app n":                                            retries,
			"rouse_lane_send_seconds app n":                                             retries + 3,
			"rouse_lane_in_flight app n":                                                0,
			"rouse_lane_reserved app n":                                                 0,
			"rouse_lane_breaker app n":                                                  0,
			"rouse_lane_ended_total REASON_DELIVERED_TO_VENDOR OUTCOME_STATUS_ACCEPTED": 3,
		}
		for _, class := range classNames {
			want["rouse_lane_quota_used app "+class+" n"] = 0
			want["rouse_lane_quota_exhausted app "+class+" n"] = 0
		}
		want["rouse_lane_quota_used app im n"] = 3
		want["rouse_lane_quota_limit app im n"] = 10
		for _, level := range levelNames {
			want["rouse_lane_queued app "+level+" n"] = 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("metrics (-want +got):\n%s", diff)
		}
		w.dir.Remove("app", "n")
		if n := len(gather(t, reg)); n != 1 {
			t.Errorf("%d series after the lane was removed, want the one of all lanes", n)
		}
	})
}

// gather returns values by name and label values; of a histogram its count.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}
