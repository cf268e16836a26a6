package shard

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cockroachdb/pebble/v2/vfs"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/lane"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/vendors"
)

// vendor takes pushes in place of a real one and remembers them.
type vendor struct {
	mu     sync.Mutex
	got    []*vendors.Notification
	answer func(n *vendors.Notification) (vendors.Result, error)
}

func (v *vendor) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	v.mu.Lock()
	v.got = append(v.got, n)
	answer := v.answer
	v.mu.Unlock()
	if answer == nil {
		return vendors.Result{Outcome: vendors.Accepted, VendorID: "v-" + n.PushID[:8]}, nil
	}
	if r, err := answer(n); err != errHang {
		return r, err
	}
	<-ctx.Done()
	return vendors.Result{}, ctx.Err()
}

const errHang = shardError("hang")

func (v *vendor) MaxInFlight() int { return 64 }
func (v *vendor) Close()           {}

func (v *vendor) script(f func(n *vendors.Notification) (vendors.Result, error)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = f
}

func (v *vendor) pushes() []*vendors.Notification {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]*vendors.Notification(nil), v.got...)
}

// engine is one node without its edges: store, lanes and shards, all real.
type engine struct {
	t      testing.TB
	sys    *actor.ActorSystem
	store  *storage.Store
	lanes  *lane.Directory
	set    *Set
	vendor *vendor
	// term is the one of the last proposal.
	term atomic.Uint64
	// held, when set, is handed what the shards propose in place of the store.
	held atomic.Pointer[func(uint16, []storage.Mutation, func(error))]
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func startEngine(t testing.TB, fs vfs.FS, edit func(*engine, *Options)) *engine {
	t.Helper()
	e := newEngine(t, fs, nil, edit)
	if err := e.set.LeadAll(); err != nil {
		t.Fatal(err)
	}
	return e
}

// newEngine leads nothing; n is its place in a cluster, nil = it has none.
func newEngine(t testing.TB, fs vfs.FS, n *node, edit func(*engine, *Options)) *engine {
	t.Helper()
	e := &engine{t: t, vendor: &vendor{}}
	var err error
	if e.store, err = storage.Open("db", storage.Options{FS: fs, Shards: 4, Logger: quiet(), MinFreeBytes: 1}); err != nil {
		t.Fatal(err)
	}
	keys := testRing()
	e.sys = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet() }))
	if n != nil {
		if err := n.host.Attach(e.sys, ":9000"); err != nil {
			t.Fatal(err)
		}
	}
	e.lanes = lane.NewDirectory(e.sys, quiet())
	e.lanes.Put("app", "apns", e.vendor, lane.Options{})
	app := user.NewApp(nil, []*rousev1.Credential{{Name: "apns", Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{}}}})
	o := Options{
		Logger: quiet(), IdleAfter: time.Minute,
		Propose: func(id uint16, term uint64, ms []storage.Mutation, done func(error)) {
			e.term.Store(term)
			if f := e.held.Load(); f != nil {
				(*f)(id, ms, done)
				return
			}
			e.store.Propose(id, ms, done)
		},
		User: &user.Deps{
			Store: e.store, Ring: keys, Lanes: e.lanes, Logger: quiet(),
			App:  func(string) *user.App { return app },
			Live: func(_, node string, _ uint64, _ time.Time) bool { return node != "dead" },
		},
	}
	if edit != nil {
		edit(e, &o)
	}
	if e.set, err = Start(e.sys, o); err != nil {
		t.Fatal(err)
	}
	return e
}

// testRing is the same for every node of this test process.
var testRing = sync.OnceValue(func() *seal.Ring {
	dir, err := os.MkdirTemp("", "rouse")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := seal.Generate(dir + "/seal.key"); err != nil {
		panic(err)
	}
	r, err := seal.Load(dir + "/seal.key")
	if err != nil {
		panic(err)
	}
	return r
})

func (e *engine) stop() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.set.Drain(ctx); err != nil {
		e.t.Error("drain:", err)
	}
	if err := e.lanes.Close(ctx); err != nil {
		e.t.Error("lanes:", err)
	}
	e.kill()
}

// kill ends the node without letting anything finish.
func (e *engine) kill() {
	e.set.Stop()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	_ = e.lanes.Close(over)
	synctest.Wait()
	if err := e.store.Close(); err != nil {
		e.t.Error("store:", err)
	}
	e.sys.Shutdown()
	<-time.After(2 * time.Second) // the actor library's dead letter throttle ends by itself
}

func (e *engine) hold(f func(uint16, []storage.Mutation, func(error))) { e.held.Store(&f) }

// ask sends a command to a user and waits for the reply.
func (e *engine) ask(who string, cmd proto.Message) actors.Reply {
	e.t.Helper()
	c := make(chan actors.Reply, 1)
	e.set.Route(&actors.Envelope{App: "app", User: who, Node: actors.Node{Name: "im", Incarnation: 1}, Command: cmd, Done: func(r actors.Reply) { c <- r }})
	return <-c
}

func (e *engine) must(who string, cmd proto.Message) actors.Reply {
	e.t.Helper()
	r := e.ask(who, cmd)
	if r.Err != nil {
		e.t.Fatalf("%T: %v", cmd, r.Err)
	}
	return r
}

func (e *engine) bind(who, device, token string) {
	e.t.Helper()
	e.must(who, &rousev1.BindTokenRequest{UserId: who, DeviceId: device, Notifier: "apns", Token: token})
}

func (e *engine) session(who, device string, st rousev1.SessionState, session uint64) {
	e.t.Helper()
	e.must(who, &rousev1.PresenceEvent{UserId: who, DeviceId: device, State: st, Session: session})
}

func event(id string) *rousev1.MessageEvent {
	return &rousev1.MessageEvent{MessageId: id, Sender: "bob", Content: &rousev1.Content{Title: "Bob", Body: "hello"}}
}

func (e *engine) outcomes(who string) map[string]string {
	e.t.Helper()
	got := map[string]string{}
	for _, o := range e.must(who, &rousev1.ListOutcomesRequest{UserId: who}).Response.(*rousev1.ListOutcomesResponse).GetOutcomes() {
		got[o.GetMessageId()+"/"+o.GetDeviceId()] = o.GetStatus().String()[len("OUTCOME_STATUS_"):] + " " + o.GetReason().String()[len("REASON_"):]
	}
	return got
}

const (
	connected    = rousev1.SessionState_SESSION_STATE_CONNECTED
	disconnected = rousev1.SessionState_SESSION_STATE_DISCONNECTED
)

func active(t testing.TB, e *engine) float64 {
	t.Helper()
	synctest.Wait()
	var m dto.Metric
	if err := e.set.o.Metrics.active.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}
