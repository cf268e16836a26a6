package fleet

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// probeEvery is how often every shard is written to, growEvery when much else is
// to be done.
const (
	probeEvery = 25 * time.Millisecond
	growEvery  = 100 * time.Millisecond
)

// prober writes to all shards through some nodes again and again, whether those
// before were answered or not.
type prober struct {
	w     *town
	users []string // one in each shard
	stop  context.CancelFunc
	ended chan struct{}

	mu     sync.Mutex
	probes []probe
}

// probe is one write to all shards.
type probe struct {
	sent, answered time.Time // answered is zero while it is under way
	taken          []bool    // by user
	err            error
}

// startProber probes through doors until it is stopped.
func (w *town) startProber(t testing.TB, prefix string, doors ...*door) *prober {
	t.Helper()
	return w.startProberAt(t, prefix, probeEvery, doors...)
}

func (w *town) startProberAt(t testing.TB, prefix string, every time.Duration, doors ...*door) *prober {
	t.Helper()
	p := &prober{w: w, users: w.everywhere(prefix, 1), ended: make(chan struct{})}
	until(t, 10*time.Second, "phones of the prober", func() error { return doors[0].offline(t.Context(), p.users) })
	var ctx context.Context
	ctx, p.stop = context.WithCancel(t.Context())
	go p.run(ctx, every, doors)
	return p
}

func (p *prober) run(ctx context.Context, every time.Duration, doors []*door) {
	defer close(p.ended)
	var under sync.WaitGroup
	defer under.Wait()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		p.probes = append(p.probes, probe{sent: time.Now()})
		p.mu.Unlock()
		under.Go(func() { p.probe(n, doors[n%len(doors)]) })
	}
}

func (p *prober) probe(n int, d *door) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	taken, err := p.write(ctx, n, d)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probes[n].answered, p.probes[n].taken, p.probes[n].err = time.Now(), taken, err
}

func (p *prober) write(ctx context.Context, n int, d *door) (taken []bool, err error) {
	r := &rousev1.IngestBatchRequest{}
	for _, user := range p.users {
		r.Events = append(r.Events, message(fmt.Sprint(user, "-", n), user))
	}
	response, err := d.intake.IngestBatch(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, item := range response.GetItems() {
		taken = append(taken, item.GetError() == nil)
		if item.GetError() != nil {
			err = fmt.Errorf("%v", item.GetError())
		}
	}
	return taken, err
}

// served is how long after a moment the last shard acknowledged a write that was
// sent after it; negative while there is one that has not.
func (p *prober) served(after time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := make([]time.Time, len(p.users))
	for _, one := range p.probes {
		for i, taken := range one.taken {
			if taken && one.sent.After(after) && (first[i].IsZero() || one.answered.Before(first[i])) {
				first[i] = one.answered
			}
		}
	}
	if slices.ContainsFunc(first, time.Time.IsZero) {
		return -1
	}
	return slices.MaxFunc(first, time.Time.Compare).Sub(after)
}

// until waits until all shards serve again, and tells how long that took.
func (p *prober) until(t testing.TB, after time.Time) (d time.Duration) {
	t.Helper()
	until(t, 20*time.Second, "all users are served", func() error {
		if d = p.served(after); d < 0 {
			return errNotYet
		}
		return nil
	})
	return d
}

// seen waits until so many probes were sent since a moment.
func (p *prober) seen(t *testing.T, since time.Time, n int) {
	t.Helper()
	until(t, 20*time.Second, "probes", func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.probes) < n || p.probes[len(p.probes)-n].sent.Before(since) {
			return errNotYet
		}
		return nil
	})
}

// end stops the prober and tells the longest that a write took, and how many
// were refused or failed.
func (p *prober) end() (longest time.Duration, failed int, first error) {
	p.stop()
	<-p.ended
	for _, one := range p.probes {
		longest = max(longest, one.answered.Sub(one.sent))
		if one.err != nil {
			failed++
			if first == nil {
				first = one.err
			}
		}
	}
	return longest, failed, first
}

// verify repeats what has no answer, after which every write must count once.
func (p *prober) verify(t testing.TB, d *door) {
	t.Helper()
	for n, one := range p.probes {
		if one.err != nil {
			until(t, 20*time.Second, "repeat a probe", func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := p.write(ctx, n, d)
				return err
			})
		}
	}
	if err := eachOf(p.users, func(user string) error { return d.counts(t.Context(), user, len(p.probes)) }); err != nil {
		t.Error(err)
	}
}

// counts wants an offline count.
func (d *door) counts(ctx context.Context, user string, want int) error {
	return within(10*time.Second, func() error {
		r, err := d.users.GetOfflineCount(ctx, &rousev1.GetOfflineCountRequest{UserId: user})
		if err == nil && int(r.GetCount()) != want {
			err = fmt.Errorf("%s counts %d messages of %d, asked of %s", user, r.GetCount(), want, d.Name)
		}
		return err
	})
}

// drain orders that a node leads nothing, or may lead again, and waits until the
// first is so.
func (d *door) drain(t testing.TB, away bool) {
	t.Helper()
	if !away {
		if _, err := d.cluster.UndrainNode(t.Context(), &rousev1.UndrainNodeRequest{Node: d.Name}); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := d.cluster.DrainNode(t.Context(), &rousev1.DrainNodeRequest{Node: d.Name}); err != nil {
		t.Fatal(err)
	}
	until(t, 20*time.Second, "drained", func() error {
		s, err := d.status(t.Context())
		if err != nil {
			return err
		}
		for _, n := range s.GetNodes() {
			if n.GetName() == d.Name && n.GetReport().GetLeads() > 0 {
				return fmt.Errorf("%s still leads %d groups", d.Name, n.GetReport().GetLeads())
			}
		}
		return nil
	})
}

// served waits until a write to every shard is acknowledged through a node.
func (w *town) served(t testing.TB, d *door) {
	t.Helper()
	p := &prober{w: w, users: w.everywhere("served", 1)}
	n := int(time.Now().UnixNano())
	until(t, 20*time.Second, "all shards serve", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := p.write(ctx, n, d)
		return err
	})
}
