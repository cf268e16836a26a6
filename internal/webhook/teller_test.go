package webhook

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors/fake"
)

// receiver is an app's server inside the bubble.
type receiver struct {
	mu     sync.Mutex
	told   map[string]int // calls by event id
	calls  int
	answer func(ids []string) int
	bodies [][]byte
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.bodies = append(r.bodies, body)
	if Sign(secret, q.Header.Get(HeaderTimestamp), body) != q.Header.Get(HeaderSignature) {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	batch := &rousev1.WebhookBatch{}
	var ids []string
	if protojson.Unmarshal(body, batch) == nil {
		for _, e := range batch.GetEvents() {
			ids = append(ids, e.GetEventId())
		}
	}
	status := http.StatusOK
	if r.answer != nil {
		status = r.answer(ids)
	}
	if status == http.StatusOK {
		for _, id := range ids {
			r.told[id]++
		}
	}
	w.WriteHeader(status)
}

// world is a store, a receiver for each app, and a Teller.
type world struct {
	t         *testing.T
	store     *storage.Store
	receivers map[string]*receiver // by host
	hooks     map[string]*rousev1.Webhooks
	teller    *Teller
	// leads is a bit for each shard that the Teller's node leads; -1 = all.
	leads atomic.Int64
}

func newWorld(t *testing.T, apps ...string) *world {
	store, err := storage.Open("db", storage.Options{FS: vfs.NewMem(), Shards: 4, Logger: slog.New(slog.DiscardHandler), MinFreeBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, receivers: map[string]*receiver{}, hooks: map[string]*rousev1.Webhooks{}}
	w.leads.Store(-1)
	for _, app := range apps {
		w.receivers[app] = &receiver{told: map[string]int{}}
		w.hooks[app] = &rousev1.Webhooks{OutcomeUrl: "http://" + app + ".test/hook", Secret: secret}
	}
	return w
}

func (w *world) start() {
	l := fake.NewPipeListener()
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		w.receivers[strings.TrimSuffix(q.Host, ".test")].ServeHTTP(rw, q)
	})}
	go s.Serve(l) //nolint:errcheck // ends with Close
	c := NewCaller()
	for _, client := range []*http.Client{c.public, c.private} {
		client.Transport = &http.Transport{DialContext: l.DialContext, MaxConnsPerHost: connections}
	}
	var err error
	w.teller, err = NewTeller(Options{
		Store: w.store, Caller: c, Hooks: func(app string) *rousev1.Webhooks { return w.hooks[app] },
		Apps: func() (all []string) {
			for app := range w.hooks {
				all = append(all, app)
			}
			return all
		},
		Leads:   func(shard uint16) bool { return w.leads.Load()>>shard&1 == 1 },
		Channel: func(_, notifier string) string { return strings.ToUpper(notifier) },
		Logger:  slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		w.teller.Close()
		_ = s.Close()
		_ = l.Close()
		_ = w.store.Close()
	})
}

// pass lets fake time pass.
func pass(d time.Duration) { <-time.After(d) }

// put leaves an event as a user's actor would.
func (w *world) put(app, id string, change ...func(*rousev1.WebhookEvent)) {
	now := time.Now()
	e := &rousev1.WebhookEvent{
		EventId: id, Stage: rousev1.WebhookStage_WEBHOOK_STAGE_OUTCOME, Sender: "bob", At: timestamppb.New(now),
		Outcome: &rousev1.Outcome{
			UserId: "ann", MessageId: id, DeviceId: "phone", Notifier: "huawei",
			Status: rousev1.OutcomeStatus_OUTCOME_STATUS_SUPPRESSED, Reason: rousev1.Reason_REASON_NO_BINDING,
		},
	}
	for _, f := range change {
		f(e)
	}
	shard := w.store.ShardOf(app, id)
	key := storage.AppendTellingKey(nil, storage.TellingKey{
		Shard: shard, App: app, AtMilli: uint64(now.UnixMilli()), Stage: 1, User: "ann", Message: id, Device: "phone",
	})
	value, err := proto.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	w.store.Propose(shard, []storage.Mutation{{Op: storage.Set, Key: key, Value: value}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) left(app string) (n int) {
	for shard := uint16(1); shard <= w.store.Shards(); shard++ {
		if err := w.store.Scan(storage.TellingRange(shard, app), func(_, _ []byte) bool { n++; return true }); err != nil {
			w.t.Fatal(err)
		}
	}
	return n
}

func (w *world) check(app string, want int) {
	w.t.Helper()
	r := w.receivers[app]
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.told) != want || w.left(app) != 0 {
		w.t.Errorf("%s was told %d events, want %d; %d are left", app, len(r.told), want, w.left(app))
	}
}

func TestEventsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b")
		for i := range 950 { // from before the start
			w.put("a", fmt.Sprint("old-", i))
		}
		w.start()
		for i := range 20 {
			w.put("b", fmt.Sprint("new-", i))
			w.teller.Wake("b")
		}
		pass(time.Second)
		synctest.Wait()
		w.check("a", 950)
		w.check("b", 20)
		if calls := w.receivers["a"].calls; calls > 20 {
			t.Errorf("%d calls for 950 events", calls)
		}
	})
}

// Events of a shard are told by the node that leads it; whoever gains it is woken.
func TestOnlyTheLeaderTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.leads.Store(1<<1 | 1<<3)
		w.start()
		shards := map[uint16]int{}
		for i := range 100 {
			w.put("a", fmt.Sprint(i))
			shards[w.store.ShardOf("a", fmt.Sprint(i))]++
			w.teller.Wake("a")
		}
		pass(time.Second)
		synctest.Wait()
		if left, told := w.left("a"), len(w.receivers["a"].told); left != shards[2]+shards[4] || told != shards[1]+shards[3] {
			t.Errorf("%d told and %d left of %v, leading 1 and 3", told, left, shards)
		}
		w.leads.Store(-1)
		w.teller.WakeAll()
		pass(time.Second)
		synctest.Wait()
		w.check("a", 100)
	})
}

// A deletion that fails because the shard went to another node is left to that
// one: no pause, no complaint.
func TestShardLostWhileTelling(t *testing.T) {
	w := newWorld(t, "a")
	w.leads.Store(0)
	w.start()
	w.put("a", "1")
	shard := w.store.ShardOf("a", "1")
	key := storage.AppendTellingKey(nil, storage.TellingKey{Shard: shard, App: "a", Stage: 1})
	if err := w.store.Close(); err != nil { // every proposal fails
		t.Fatal(err)
	}
	if err := w.teller.remove([]waiting{{shard: shard, key: key}}); err != nil {
		t.Errorf("of a shard that is led elsewhere: %v", err)
	}
	w.leads.Store(-1)
	if err := w.teller.remove([]waiting{{shard: shard, key: key}}); err == nil {
		t.Error("a failure at the leader was not told")
	}
}

// An outage loses nothing, is asked about less and less often, and concerns
// nobody else.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "down", "up")
		w.receivers["down"].answer = func([]string) int { return http.StatusServiceUnavailable }
		w.start()
		for i := range 300 {
			w.put("down", fmt.Sprint(i))
			w.put("up", fmt.Sprint(i))
		}
		w.teller.Wake("down")
		w.teller.Wake("up")
		pass(time.Second)
		synctest.Wait()
		w.check("up", 300)
		pass(time.Hour)
		synctest.Wait()
		r := w.receivers["down"]
		r.mu.Lock()
		if calls := r.calls; calls < 10 || calls > 200 {
			t.Errorf("%d calls in an hour of outage", calls)
		}
		r.answer = nil
		r.mu.Unlock()
		pass(longPause + time.Minute)
		synctest.Wait()
		w.check("down", 300)
	})
}

// One event that the receiver cannot take does not hold up the others.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.receivers["a"].answer = func(ids []string) int {
			if slices.Contains(ids, "13") {
				return http.StatusUnprocessableEntity
			}
			return http.StatusOK
		}
		for i := range 120 {
			w.put("a", fmt.Sprint(i))
		}
		w.start()
		pass(time.Hour)
		synctest.Wait()
		w.check("a", 119)
	})
}

func TestOldAndUnwantedEventsAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "off")
		w.put("a", "old")
		w.put("off", "unwanted")
		w.hooks["off"].OutcomeUrl = ""
		pass(maxAge + time.Second)
		w.put("a", "new")
		w.start()
		pass(time.Minute)
		synctest.Wait()
		w.check("a", 1)
		w.check("off", 0)
	})
}

// A restart between the call and the end of its event tells it again, under the
// same id; closing in the middle of an outage keeps what is left.
func TestClosingKeepsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.receivers["a"].answer = func([]string) int { return http.StatusBadGateway }
		w.put("a", "1")
		w.start()
		pass(time.Minute)
		w.teller.Close()
		if w.left("a") != 1 {
			t.Fatal("the event is gone")
		}
		w.receivers["a"].answer = nil
		w.start()
		pass(time.Minute)
		synctest.Wait()
		w.check("a", 1)
	})
}

// An app without a slot has no page in memory, and does not hold up the end.
func TestAppsWithoutASlotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.start()
		synctest.Wait()
		for range appsAtOnce {
			w.teller.slots <- struct{}{}
		}
		var looks atomic.Int32
		w.teller.Hooks = func(app string) *rousev1.Webhooks {
			looks.Add(1)
			return w.hooks[app]
		}
		w.put("a", "1")
		w.teller.Wake("a")
		pass(time.Minute)
		w.teller.Close()
		if n := looks.Load(); n != 0 || w.left("a") != 1 {
			t.Errorf("%d pages were read, %d events are left; want none and 1", n, w.left("a"))
		}
	})
}

// With more shards than a page has events, the next page begins elsewhere.
func TestNoShardStarves(t *testing.T) {
	store, err := storage.Open("db", storage.Options{FS: vfs.NewMem(), Shards: pageEvents + 1, Logger: slog.New(slog.DiscardHandler), MinFreeBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // a test's
	answers := make(chan error, pageEvents+1)
	for shard := range store.Shards() {
		key := storage.AppendTellingKey(nil, storage.TellingKey{Shard: shard + 1, App: "a", AtMilli: 1, Stage: 1, User: "ann", Message: "m", Device: "phone"})
		store.Propose(shard+1, []storage.Mutation{{Op: storage.Set, Key: key}}, func(err error) { answers <- err })
	}
	for range store.Shards() {
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
	}
	teller := &Teller{Options: Options{Store: store, Leads: func(uint16) bool { return true }}}
	seen := map[uint16]bool{}
	for first := range uint16(2) {
		page, err := teller.page("a", first+1)
		if err != nil || len(page) > pageEvents {
			t.Fatal(len(page), err)
		}
		for _, e := range page {
			seen[e.shard] = true
		}
	}
	if len(seen) != pageEvents+1 {
		t.Errorf("%d shards were looked at, want %d", len(seen), pageEvents+1)
	}
}

// An event that was refused and grew old keeps no others going alone.
func TestOldEventsAreNotRefusedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a")
		w.start()
		synctest.Wait()
		key := storage.AppendTellingKey(nil, storage.TellingKey{Shard: 1, App: "a", User: "ann", Message: "m"})
		refused := map[string]int{string(key): 1}
		if err := w.teller.tellPage("a", []waiting{{shard: 1, key: key}}, refused); err != nil || len(refused) != 0 {
			t.Errorf("%v, %v", refused, err)
		}
	})
}

func TestEasemobForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "org#app")
		w.receivers["org"] = w.receivers["org#app"]
		w.hooks["org#app"].OutcomeUrl, w.hooks["org#app"].EasemobForm = "http://org.test/", true
		w.put("org#app", "m1", func(e *rousev1.WebhookEvent) {
			e.ConversationType, e.ConversationId = rousev1.ConversationType_CONVERSATION_TYPE_GROUP, "g1"
		})
		w.put("org#app", "m2", func(e *rousev1.WebhookEvent) { e.Outcome.Reason = rousev1.Reason_REASON_USER_ONLINE }) // no word for it
		w.start()
		pass(time.Minute)
		synctest.Wait()
		if n := w.left("org#app"); n != 0 {
			t.Errorf("%d events are left", n)
		}
		bodies := w.receivers["org"].bodies
		if len(bodies) != 1 {
			t.Fatalf("%d calls, want 1", len(bodies))
		}
		var got map[string]any
		if err := json.Unmarshal(bodies[0], &got); err != nil {
			t.Fatal(err)
		}
		for field, want := range map[string]any{
			"callId": "org#app_m1", "appkey": "org#app", "channel": "HUAWEI", "chat_type": "groupchat", "group_id": "g1", "from": "bob",
			"target": "ann", "msg_id": "m1", "device_id": "phone", "device_token": "", "notifier_name": "huawei",
			"step": "push", "status": "fail", "e_message": "no push binding",
		} {
			if got[field] != want {
				t.Errorf("%s is %v, want %v", field, got[field], want)
			}
		}
		if s, _ := got["security"].(string); len(s) != 32 {
			t.Errorf("security is %q", s)
		}
	})
}
