package webhook

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

const (
	pageEvents  = 400 // read from the store at a time, for one app
	batchEvents = 100 // of one call
	callsAtOnce = 4   // of one app
	appsAtOnce  = 64
	callTimeout = 10 * time.Second
	shortPause  = time.Second
	longPause   = 5 * time.Minute
	gatherTime  = 200 * time.Millisecond
	// refusals is how often an event that goes alone may be refused for itself.
	refusals = 5
)

// Options of a Teller; what is not marked as optional must be given.
type Options struct {
	Store  *storage.Store
	Caller *Caller
	Hooks  Hooks
	// Apps are the ids of all apps, for the look at the start.
	Apps func() []string
	// Leads tells whether this node leads a shard: only then are its events told
	// here. nil = it leads all.
	Leads func(shard uint16) bool
	// Channel is the vendor of a credential in Easemob's words; empty = not known.
	Channel func(app, notifier string) string
	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

// Teller tells events to the outcome_url of their apps. An app whose receiver
// fails is called less and less often, and holds up no other.
type Teller struct {
	Options
	life  context.Context
	end   context.CancelFunc
	slots chan struct{} // one for each app that is being served
	told  *prometheus.CounterVec

	mu     sync.Mutex
	apps   map[string]*round // apps with a round under way
	rounds sync.WaitGroup
	// gathering: WakeAll was called a moment ago.
	gathering bool
}

// round serves one app until its queue is empty.
type round struct{ again bool } // woken since the last look

// NewTeller makes a Teller and begins with what waits in the store.
func NewTeller(o Options) (*Teller, error) {
	t := &Teller{
		Options: o, apps: make(map[string]*round), slots: make(chan struct{}, appsAtOnce),
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rouse_webhook_events_total", Help: "Events for webhooks that left the queue, by how: told, refused, old, unwanted.",
		}, []string{"how"}),
	}
	if err := o.Metrics.Register(t.told); err != nil {
		return nil, err
	}
	t.life, t.end = context.WithCancel(context.Background())
	if o.Leads == nil {
		t.Leads = func(uint16) bool { return true }
	}
	t.wakeApps()
	return t, nil
}

// WakeAll says that this node leads a shard from now on, whose events other
// nodes left. It does not block. All apps are looked at a moment later, once for
// all shards that came in it.
func (t *Teller) WakeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gathering || t.life.Err() != nil {
		return
	}
	t.gathering = true
	t.rounds.Go(func() {
		if !t.sleep(gatherTime) {
			return
		}
		t.mu.Lock()
		t.gathering = false
		t.mu.Unlock()
		t.wakeApps()
	})
}

func (t *Teller) wakeApps() {
	for _, app := range t.Apps() {
		t.Wake(app)
	}
}

// Wake says that events of an app are on disk. It does not block.
func (t *Teller) Wake(app string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life.Err() != nil {
		return
	}
	if r := t.apps[app]; r != nil {
		r.again = true
		return
	}
	r := &round{}
	t.apps[app] = r
	t.rounds.Go(func() { t.serve(app, r) })
}

// Close ends the calls under way; what was not taken is told after the next start.
func (t *Teller) Close() {
	t.mu.Lock() // a Wake that saw no end has begun its round
	t.end()
	t.mu.Unlock()
	t.rounds.Wait()
	t.Caller.Close()
}

func (t *Teller) serve(app string, r *round) {
	pause := time.Duration(0)
	refused := map[string]int{} // by event, of those that went alone; bounded by a page
	first := uint16(1)
	for {
		n, err := t.look(app, first, refused)
		first = first%t.Store.Shards() + 1
		switch {
		case t.life.Err() != nil:
			return
		case err != nil:
			pause = min(max(2*pause, shortPause), longPause)
			t.Logger.Warn("webhook does not take events; they wait", "app", app, "pause", pause, "error", err)
			if !t.sleep(pause/2 + rand.N(pause/2)) { //nolint:gosec // jitter
				return
			}
			continue
		case n > 0:
			pause = 0
			continue
		}
		t.mu.Lock()
		if !r.again {
			delete(t.apps, app)
			t.mu.Unlock()
			return
		}
		r.again = false
		t.mu.Unlock()
	}
}

// look tells one page, and how many events it had. Of all apps only those with a
// slot have a page in memory.
func (t *Teller) look(app string, first uint16, refused map[string]int) (n int, err error) {
	select {
	case t.slots <- struct{}{}:
	case <-t.life.Done():
		return 0, nil
	}
	defer func() { <-t.slots }()
	page, err := t.page(app, first)
	if err != nil || len(page) == 0 {
		return 0, err
	}
	return len(page), t.tellPage(app, page, refused)
}

func (t *Teller) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.life.Done():
		return false
	}
}

// waiting is an event in the queue.
type waiting struct {
	shard uint16
	key   []byte
	event *rousev1.WebhookEvent // nil: cannot be read
	at    time.Time
}

// page reads the oldest events of each shard led here, from the first on, up to a bound
// for each, so that no shard starves.
func (t *Teller) page(app string, first uint16) (all []waiting, err error) {
	shards := t.Store.Shards()
	share := max(1, pageEvents/int(shards))
	for i := range shards {
		if len(all) >= pageEvents {
			break
		}
		shard := (first-1+i)%shards + 1
		if !t.Leads(shard) {
			continue
		}
		n := 0
		err := t.Store.Scan(storage.TellingRange(shard, app), func(key, value []byte) bool {
			w := waiting{shard: shard, key: append([]byte(nil), key...), event: &rousev1.WebhookEvent{}}
			if k, err := storage.ParseTellingKey(key); err == nil {
				w.at = time.UnixMilli(int64(k.AtMilli)) //nolint:gosec // a time
			}
			if proto.Unmarshal(value, w.event) != nil {
				w.event = nil
			}
			all = append(all, w)
			n++
			return n < share
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// tellPage tells what is wanted of a page, and takes from the queue what was
// told and what never will be. The error is of a call that may work later.
func (t *Teller) tellPage(app string, page []waiting, refused map[string]int) error {
	w := t.Hooks(app)
	var gone, left []waiting
	for _, e := range page {
		switch {
		case w.GetOutcomeUrl() == "" || e.event == nil:
			gone = append(gone, e)
			t.told.WithLabelValues("unwanted").Inc()
		case time.Since(e.at) > maxAge:
			gone = append(gone, e)
			t.told.WithLabelValues("old").Inc()
		default:
			left = append(left, e)
		}
	}
	for _, e := range gone {
		delete(refused, string(e.key))
	}
	taken, err := t.call(app, w, left, refused)
	return errors.Join(t.remove(append(gone, taken...)), err)
}

// call makes the calls for a page, a few at a time, and returns the events that
// are done with.
func (t *Teller) call(app string, w *rousev1.Webhooks, page []waiting, refused map[string]int) (done []waiting, err error) {
	size := batchEvents
	if w.GetEasemobForm() || len(refused) > 0 {
		size = 1
	}
	var (
		mu    sync.Mutex
		calls sync.WaitGroup
		slots = make(chan struct{}, callsAtOnce)
	)
	for len(page) > 0 && t.life.Err() == nil {
		batch := page[:min(size, len(page))]
		page = page[len(batch):]
		slots <- struct{}{}
		mu.Lock()
		failed := err != nil
		mu.Unlock()
		if failed {
			break
		}
		calls.Go(func() {
			defer func() { <-slots }()
			fault := t.post(app, w, batch)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case fault == nil:
				done = append(done, batch...)
				t.told.WithLabelValues("told").Add(float64(len(batch)))
				for _, e := range batch {
					delete(refused, string(e.key))
				}
			case poison(fault) && t.giveUp(batch, refused):
				done = append(done, batch...)
				t.told.WithLabelValues("refused").Inc()
				t.Logger.Warn("webhook refuses an event again and again; it is dropped", "app", app, "error", fault)
			default:
				err = fault
			}
		})
	}
	calls.Wait()
	if canceled(err) {
		err = nil
	}
	return done, err
}

// giveUp counts refusals of what the receiver might never take. A batch is taken
// apart first: from then on its events go alone.
func (t *Teller) giveUp(batch []waiting, refused map[string]int) bool {
	for _, e := range batch {
		refused[string(e.key)]++
	}
	if len(batch) > 1 || refused[string(batch[0].key)] < refusals {
		return false
	}
	delete(refused, string(batch[0].key))
	return true
}

func (t *Teller) post(app string, w *rousev1.Webhooks, batch []waiting) error {
	ctx, cancel := context.WithTimeout(t.life, callTimeout)
	defer cancel()
	var body []byte
	if w.GetEasemobForm() {
		e := batch[0].event
		var has bool
		if body, has = easemobBody(app, w.GetSecret(), t.Channel(app, e.GetOutcome().GetNotifier()), e); !has {
			return nil
		}
	} else {
		m := &rousev1.WebhookBatch{AppId: app}
		for _, e := range batch {
			m.Events = append(m.Events, e.event)
		}
		var err error
		if body, err = protojson.Marshal(m); err != nil {
			return errStatus(400) // not to be told, ever
		}
	}
	_, err := t.Caller.Post(ctx, w, w.GetOutcomeUrl(), body)
	return err
}

// maxQueued is where Queued stops counting.
const maxQueued = 100_000

// Queued is how many events of an app wait in the shards that this node leads,
// counted up to 100,000. It reads the store.
func (t *Teller) Queued(app string) (n uint64, err error) {
	for shard := uint16(1); shard <= t.Store.Shards() && n < maxQueued; shard++ {
		if !t.Leads(shard) {
			continue
		}
		err = errors.Join(err, t.Store.Scan(storage.TellingRange(shard, app), func(_, _ []byte) bool {
			n++
			return n < maxQueued
		}))
	}
	return n, err
}

// remove deletes events and waits until that is on disk, so that the next look
// does not find them. Those of a shard that another node leads by now are left
// to it: it tells them once more.
func (t *Teller) remove(all []waiting) error {
	byShard := map[uint16][]storage.Mutation{}
	for _, e := range all {
		byShard[e.shard] = append(byShard[e.shard], storage.Mutation{Op: storage.Delete, Key: e.key})
	}
	answers := make(chan error, len(byShard))
	for shard, ms := range byShard {
		t.Store.Propose(shard, ms, func(err error) {
			if err != nil && !t.Leads(shard) {
				err = nil
			}
			answers <- err
		})
	}
	var err error
	for range byShard {
		err = errors.Join(err, <-answers)
	}
	return err
}
