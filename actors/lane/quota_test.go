package lane

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/internal/quota"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors"
)

func zone(t testing.TB, name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestMidnight(t *testing.T) {
	for _, c := range []struct{ zone, now, want string }{
		{"Asia/Shanghai", "2026-11-26T15:59:59Z", "2026-11-26T16:00:00Z"},
		{"Asia/Shanghai", "2026-11-26T16:00:00Z", "2026-11-27T16:00:00Z"},
		{"UTC", "2026-12-31T12:00:00Z", "2027-01-01T00:00:00Z"},
		{"America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"},  // 23 h
		{"America/New_York", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},  // 25 h
		{"America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"}, // there was no 0:00
		{"America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-18T03:00:00Z"}, // 23:00 came twice
		{"America/Havana", "2026-11-01T02:00:00Z", "2026-11-01T04:00:00Z"},    // 0:00 came twice
		{"Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z"},      // the 30th was left out
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := midnight(now, zone(t, c.zone)).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s at %s: midnight %s, want %s", c.zone, c.now, got, c.want)
		}
	}
}

func TestMidnightEndsEveryDay(t *testing.T) {
	zones := []string{"Asia/Shanghai", "UTC", "America/New_York", "America/Sao_Paulo", "Asia/Beirut", "Africa/Cairo", "America/Havana", "Australia/Lord_Howe", "Pacific/Apia"}
	rapid.Check(t, func(rt *rapid.T) {
		z := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		now := time.Unix(rapid.Int64Range(946684800, 2524608000).Draw(rt, "now"), 0) // 2000 to 2050
		next := midnight(now, z)
		date := func(t time.Time) string { return t.In(z).Format(time.DateOnly) }
		if !next.After(now) || date(next) == date(now) || date(next.Add(-1)) != date(now) || next.Sub(now) > quotaPauseMax {
			rt.Fatalf("%s: midnight after %s is %s", z, now.In(z), next)
		}
	})
}

// life is one run of a node with one lane, whose vendor counts what it took.
type life struct {
	*world
	store  *storage.Store
	lane   *Lane
	vendor *counter
}

// counter takes all pushes, until its node is dead.
type counter struct {
	script
	mu   sync.Mutex
	dead bool
	took map[string]int // by day in Shanghai
	zone *time.Location
	dies func() // called with the push after which the node is dead
	left int    // pushes until then
}

func (v *counter) Send(context.Context, *vendors.Notification) (vendors.Result, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.dead {
		v.took[time.Now().In(v.zone).Format(time.DateOnly)]++
		if v.left--; v.left == 0 {
			v.dies()
			v.dead = true
		}
	}
	return vendors.Result{Outcome: vendors.Accepted}, nil
}

// days is what was taken.
func (v *counter) days() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.took)
}

func live(t testing.TB, fs vfs.FS, took map[string]int, limit uint64) *life {
	store, err := storage.Open("store", storage.Options{FS: fs, Shards: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	book, err := quota.Open(quota.Options{Store: store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	shanghai := zone(t, "Asia/Shanghai")
	l := &life{world: newWorld(t), store: store, vendor: &counter{script: script{max: 4}, took: took, zone: shanghai}}
	o := Options{PerSecond: 1000, Quota: Quota{Zone: shanghai, Account: book.Account("app", "n", "vendor/1")}}
	o.Quota.Limits[classIM] = limit
	if used, n := o.Quota.Account.Today(time.Now())[classIM].Used, took[time.Now().In(shanghai).Format(time.DateOnly)]; limit > 0 && used < uint64(n) {
		t.Errorf("%d pushes were sent, on disk are %d", n, used)
	}
	l.dir.Put("app", "n", l.vendor, o)
	l.lane = l.dir.Get("app", "n")
	return l
}

// dieAfter sends, until the vendor takes the n-th push: that instant leaves a disk
// as a loss of power would, and nothing else.
func (l *life) dieAfter(n int, rng *rand.Rand, fs *vfs.MemFS) (disk *vfs.MemFS) {
	dead := make(chan struct{})
	l.vendor.mu.Lock()
	l.vendor.left, l.vendor.dies = n, func() {
		disk = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[rng.IntN(3)], RNG: rng})
		close(dead)
	}
	l.vendor.mu.Unlock()
	l.pushMany(l.lane, n+50, time.Hour)
	<-dead
	l.stop()
	return disk
}

func (l *life) stop() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.dir.Close(ctx); err != nil {
		l.t.Error(err)
	}
	if err := l.store.Close(); err != nil {
		l.t.Error(err)
	}
	l.sys.Shutdown()
	<-time.After(2 * time.Second) // the actor system's log throttle
}

// However often a node dies, what its vendor takes in a day stays below the
// bound, and not more than a block is lost each time.
func TestDailyBoundOverCrashes(t *testing.T) {
	const limit, deaths = 1000, 12
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				fs, took := vfs.NewCrashableMem(), map[string]int{}
				for range deaths {
					l := live(t, fs, took, limit)
					fs = l.dieAfter(1+rng.IntN(50), rng, fs)
				}
				l := live(t, fs, took, limit)
				l.pushMany(l.lane, 2000, time.Hour)
				<-time.After(time.Minute)
				synctest.Wait()
				if n := l.vendor.days()["2000-01-01"]; n > limit || n < limit-deaths*(limit/blockShare+l.vendor.max) {
					t.Errorf("the vendor took %d, want at most %d and not less but for a block and what is in flight for each of %d deaths", n, limit, deaths)
				}
				if s := l.lane.Stats().Quotas[classIM]; s.Used != limit || s.Limit != limit || s.ExhaustedUntil.UTC().Hour() != 16 || s.ExhaustedUntil != s.ResetsAt {
					t.Errorf("at the end of the quota: %+v", s)
				}
				<-time.After(time.Hour)
				synctest.Wait()
				expired := 0
				for _, v := range l.verdicts() {
					if v == "EXPIRED/NOTIFIER_OUT_OF_QUOTA/0" {
						expired++
					}
				}
				if expired < 1000 {
					t.Errorf("%d expired out of quota, want at least 1000", expired)
				}
				l.stop()
			})
		})
	}
}

// A clean stop gives back what is left, and the new day begins at the vendor's
// midnight, also for a lane that started the day before.
func TestDailyBoundOverRestartsAndMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, took := vfs.NewMem(), map[string]int{}
		for range 5 {
			l := live(t, fs, took, 1000)
			l.pushMany(l.lane, 150, time.Hour)
			<-time.After(time.Second)
			l.stop()
		}
		l := live(t, fs, took, 1000)
		if s := l.lane.Stats().Quotas[classIM]; s.Used != 750 {
			t.Errorf("after 5 clean stops %d are used, want 750", s.Used)
		}
		l.pushMany(l.lane, 2000, 48*time.Hour)
		<-time.After(15*time.Hour + 59*time.Minute - time.Since(origin))
		synctest.Wait()
		if got := l.vendor.days(); got["2000-01-01"] != 1000 || got["2000-01-02"] != 0 {
			t.Errorf("before the vendor's midnight it took %v", got)
		}
		<-time.After(16*time.Hour + time.Minute - time.Since(origin))
		synctest.Wait()
		if got := l.vendor.days(); got["2000-01-01"] != 1000 || got["2000-01-02"] != 1000 {
			t.Errorf("a minute after midnight in Shanghai it took %v, want 1000 of each day", got)
		}
		l.stop()
	})
}

// Without a bound nothing is written, and pushes are counted all the same.
func TestUseWithoutABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(t, vfs.NewMem(), map[string]int{}, 0)
		l.pushMany(l.lane, 100, time.Hour)
		<-time.After(time.Second)
		if s := l.lane.Stats().Quotas[classIM]; s.Used != 100 || !s.ExhaustedUntil.IsZero() {
			t.Errorf("%+v, want 100 used", s)
		}
		if err := l.store.Scan(storage.CatalogueRange('q'), func(key, _ []byte) bool {
			t.Errorf("%q is stored", key)
			return true
		}); err != nil {
			t.Error(err)
		}
		<-time.After(16 * time.Hour)
		if s := l.lane.Stats().Quotas[classIM]; s.Used != 0 || s.ResetsAt.UTC().Day() != 2 {
			t.Errorf("after midnight: %+v", s)
		}
		l.stop()
	})
}

// What the vendor said of the quota outlives a restart.
func TestVendorsWordOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs, took := vfs.NewMem(), map[string]int{}
		l := live(t, fs, took, 0)
		full := &script{max: 1, do: func(_ context.Context, n *vendors.Notification) (vendors.Result, error) {
			return vendors.Result{Outcome: vendors.QuotaExhausted, Code: "10070"}, nil
		}}
		account := l.lane
		l.dir.Put("app", "n", full, Options{Quota: Quota{Zone: l.vendor.zone}})
		l.pushMany(account, 3, 48*time.Hour)
		<-time.After(5 * time.Hour)
		if n := len(full.log()); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
		l.stop()
		l = live(t, fs, took, 0)
		l.pushMany(l.lane, 3, time.Hour)
		<-time.After(2 * time.Hour)
		want := map[string]string{}
		for i := range 3 {
			want[fmt.Sprint("p", i)] = "EXPIRED/VENDOR_QUOTA/0"
		}
		l.want(want)
		if s := l.lane.Stats().Quotas[classIM]; s.Code != "10070" || s.ExhaustedUntil.UTC().Hour() != 16 {
			t.Errorf("%+v", s)
		}
		<-time.After(16*time.Hour - time.Since(origin))
		l.push(l.lane, newDispatch("tomorrow", 9, time.Hour))
		synctest.Wait()
		if got := l.vendor.days(); got["2000-01-02"] != 1 {
			t.Errorf("after midnight the vendor took %v", got)
		}
		l.stop()
	})
}

// A push of yesterday that the vendor refuses today gives today nothing back.
func TestRefusedOfYesterday(t *testing.T) {
	r := newRig(t, Options{Quota: Quota{Limits: [classes]uint64{classIM: 2}}}, 10)
	for i := range 4 {
		r.dispatch(fmt.Sprint(i), uint64(i), r.notification(vendors.ClassIM, 48*time.Hour))
	}
	r.wantFlying("0 1")
	r.advance(r.s.quota.end.Sub(r.now))
	r.wantFlying("0 1 2 3")
	r.answer(0, throttled(vendors.ScopeDevice, 0))
	r.answer(0, accepted)
	r.advance(time.Hour)
	r.wantFlying("2 3")
	r.answer(0, throttled(vendors.ScopeDevice, time.Hour))
	r.wantFlying("3 0") // "2" was not taken today, so "0" may go
}

// Other classes go on while one waits for its block, or for the next day.
func TestOtherClassesGoOn(t *testing.T) {
	r := newRig(t, Options{Quota: Quota{Limits: [classes]uint64{classMarketing: 1}}}, 10)
	r.slowDisk = true
	r.dispatch("news", 1, r.notification(vendors.ClassMarketing, 3*time.Hour))
	r.dispatch("more news", 1, r.notification(vendors.ClassMarketing, 3*time.Hour))
	r.im("im", 1)
	r.wantFlying("im")
	r.answer(0, accepted)
	r.commit(true)
	r.advance(blockRetry)
	r.wantFlying("")
	r.commit(false)
	r.wantFlying("news")
	r.answer(0, accepted)
	r.commit(false)
	r.advance(3 * time.Hour)
	r.wantEnded("more news", "EXPIRED/NOTIFIER_OUT_OF_QUOTA")
	r.im("im 2", 1)
	r.wantFlying("im 2")
}

// Each push of a request counts, and a request is cut to what is left.
func TestBatchesCountEachPush(t *testing.T) {
	r := newRig(t, Options{Quota: Quota{Limits: [classes]uint64{classIM: 500}}}, 100).coalesce(100)
	r.group("a", 1000)
	r.advance(linger)
	for len(r.flying) > 0 {
		r.answer(0, accepted)
	}
	if n := len(r.counted[classIM]); n != 500 {
		t.Errorf("%d sent, want the 500 of the day", n)
	}
}

// Where the vendor does not punish it, one push an hour asks whether there is a
// quota again.
func TestQuotaProbe(t *testing.T) {
	r := newRig(t, Options{Quota: Quota{Probe: time.Hour}}, 10).coalesce(10)
	r.dispatch("a", 1, r.notification(vendors.ClassIM, 48*time.Hour))
	r.answer(0, said(vendors.QuotaExhausted))
	for i := range 5 {
		r.shared(fmt.Sprint("b", i), uint64(10+i), r.notification(vendors.ClassIM, 48*time.Hour))
	}
	r.advance(time.Hour - 1)
	r.wantFlying("")
	r.advance(1)
	r.wantFlying("a")
	r.answer(0, said(vendors.QuotaExhausted))
	r.advance(time.Hour - 1)
	r.wantFlying("")
	r.advance(1)
	r.wantFlying("a")
	r.answer(0, accepted)
	if len(r.flying) != 1 || len(r.flying[0].rest) != 4 {
		t.Errorf("requests %v after the quota came back, want the other five in one", r.requests())
	}
}

// A bound that an operator sets counts what went before, and raising it asks the
// vendor again.
func TestChangedBound(t *testing.T) {
	r := newRig(t, Options{}, 10)
	for i := range 5 {
		r.im(fmt.Sprint("before ", i), uint64(i))
		r.answer(0, accepted)
	}
	bound := func(n uint64) {
		r.o.Quota.Limits[classIM] = n
		r.paused = [levels]time.Time{} // the vendor is asked again
		r.replace(10)
	}
	bound(6)
	r.im("sixth", 6)
	r.im("seventh", 7)
	r.wantFlying("sixth")
	r.answer(0, said(vendors.QuotaExhausted))
	r.wantFlying("")
	bound(7)
	r.wantFlying("sixth seventh")
	r.answer(0, accepted)
	r.answer(0, accepted)
	bound(3)
	r.im("eighth", 8)
	r.wantFlying("")
	bound(0)
	r.wantFlying("eighth")
}
