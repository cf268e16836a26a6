package lane

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

// script is a vendor that does for each send what do says; nil accepts.
type script struct {
	max int
	do  func(ctx context.Context, n *vendors.Notification) (vendors.Result, error)

	mu     sync.Mutex
	sends  []sent
	closed bool
}

type sent struct {
	ID string
	At time.Duration // since the start of the test
}

var origin = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a synctest bubble begins

func (s *script) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	s.mu.Lock()
	s.sends = append(s.sends, sent{n.PushID, time.Since(origin)})
	s.mu.Unlock()
	if s.do == nil {
		return vendors.Result{Outcome: vendors.Accepted}, nil
	}
	return s.do(ctx, n)
}

func (s *script) MaxInFlight() int { return s.max }

func (s *script) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

func (s *script) log() []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sent(nil), s.sends...)
}

func (s *script) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// world is a directory with one user's actor that collects what ended.
type world struct {
	t     testing.TB
	sys   *actor.ActorSystem
	dir   *Directory
	user  *actor.PID
	mu    sync.Mutex
	ended map[string]*Ended
}

// bubble runs f in fake time, closes the directory and checks that no push
// ended twice.
func bubble(t *testing.T, f func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(t, w)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.dir.Close(ctx); err != nil {
			t.Error(err)
		}
		w.sys.Shutdown()
		<-time.After(2 * time.Second) // the actor system's log throttle
	})
}

func newWorld(t testing.TB) *world {
	quiet := slog.New(slog.DiscardHandler)
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	w := &world{t: t, sys: sys, dir: NewDirectory(sys, quiet), ended: map[string]*Ended{}}
	w.user = sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if e, ok := c.Message().(*Ended); ok {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.ended[e.PushID] != nil {
				t.Errorf("push %s ended twice", e.PushID)
			}
			w.ended[e.PushID] = e
		}
	}))
	return w
}

func newDispatch(id string, order uint64, ttl time.Duration) *Dispatch {
	return &Dispatch{
		Ref: Ref{App: "app", User: "u", Message: id, Device: "d", Notifier: "n"}, PushID: id, Order: order,
		N: &vendors.Notification{PushID: id, Channel: vendors.ChannelAlert, Class: vendors.ClassIM, Badge: -1, Expires: time.Now().Add(ttl)},
	}
}

func (w *world) push(l *Lane, d *Dispatch) {
	w.t.Helper()
	if !l.Reserve() {
		w.t.Fatalf("no room for %s", d.PushID)
	}
	d.To = w.user
	l.Dispatch(d)
}

// verdicts are the ended pushes as "status/reason/attempts".
func (w *world) verdicts() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := map[string]string{}
	for id, e := range w.ended {
		v[id] = fmt.Sprintf("%s/%s/%d", e.Status.String()[len("OUTCOME_STATUS_"):], e.Reason.String()[len("REASON_"):], e.Attempts)
	}
	return v
}

func (w *world) want(want map[string]string) {
	w.t.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, w.verdicts()); diff != "" {
		w.t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func TestAcceptedPushComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		vendor := &script{max: 2, do: func(context.Context, *vendors.Notification) (vendors.Result, error) {
			return vendors.Result{Outcome: vendors.TokenReplaced, Code: "ok", VendorID: "v1", NewToken: "new"}, nil
		}}
		w.dir.Put("app", "n", vendor, Options{})
		d := newDispatch("a", 1, time.Hour)
		d.TokenSum = [16]byte{1}
		w.push(w.dir.Get("app", "n"), d)
		synctest.Wait()
		want := &Ended{
			Ref: d.Ref, PushID: "a", TokenSum: [16]byte{1}, Attempts: 1, At: time.Now(),
			Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Reason: rousev1.Reason_REASON_DELIVERED_TO_VENDOR,
			VendorCode: "ok", VendorID: "v1", NewToken: "new",
		}
		if diff := cmp.Diff(want, w.ended["a"]); diff != "" {
			t.Errorf("ended (-want +got):\n%s", diff)
		}
		if n := w.dir.Get("app", "n").Stats().Reserved; n != 0 {
			t.Errorf("%d reserved after the end, want 0", n)
		}
	})
}
