package meta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/memnet"
	"github.com/rouse-im/rouse/internal/lease"
	"github.com/rouse-im/rouse/storage"
)

const ms = time.Millisecond

// node is one of a cluster whose meta group is led by who is told so.
type node struct {
	*Asker
	sys     *actor.ActorSystem
	leads   atomic.Bool
	leader  atomic.Pointer[string] // whom the node believes to lead
	cut     atomic.Pointer[string] // whom it cannot reach
	applied atomic.Uint64
	ran     atomic.Int32 // calls executed
	admin   func(ctx context.Context, call *actorv1.AdminCall) ([]byte, error)
}

func (n *node) believes(leader string) { n.leader.Store(&leader) }

// newNodes starts nodes in a network with 10 ms between any two.
func newNodes(t *testing.T, n int) ([]*node, *memnet.Net) {
	t.Helper()
	network := memnet.New(memnet.Options{Latency: 10 * ms})
	nodes := make([]*node, n)
	for i := range nodes {
		v := &node{sys: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))}
		nodes[i] = v
		v.believes("")
		v.cut.Store(new(string))
		v.admin = func(context.Context, *actorv1.AdminCall) ([]byte, error) { return []byte(fmt.Sprint(i)), nil }
		if err := network.Host(fmt.Sprint("n", i)).Attach(v.sys, ":9000"); err != nil {
			t.Fatal(err)
		}
		var err error
		v.Asker, err = Start(Options{
			System: v.sys, Leads: v.leads.Load, Leader: func() string { return *v.leader.Load() }, Applied: v.applied.Load, Logger: slog.New(slog.DiscardHandler),
			Cut: func(address string) bool { return address == *v.cut.Load() },
			Relays: func() (all []string) {
				for _, other := range nodes {
					all = append(all, other.sys.Address())
				}
				return all
			},
			Handlers: Handlers{
				Admin: func(ctx context.Context, call *actorv1.AdminCall) ([]byte, error) {
					v.ran.Add(1)
					return v.admin(ctx, call)
				},
				Cluster: func(ctx context.Context, call *actorv1.AdminCall) ([]byte, error) {
					v.ran.Add(1)
					return v.admin(ctx, call)
				},
				Admit: func(_ context.Context, m *actorv1.Admit) (*actorv1.Admitted, error) {
					v.ran.Add(1)
					return &actorv1.Admitted{Cluster: m.GetName() + fmt.Sprint(i)}, nil
				},
				Report: func(context.Context) ([]byte, error) { return []byte(fmt.Sprint("report of ", i)), nil },
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			v.Stop()
			v.sys.Shutdown()
			<-time.After(10 * time.Second) // a throttle of dead letters ends with its period
		})
	}
	return nodes, network
}

func call(method string) *actorv1.AdminCall { return &actorv1.AdminCall{Method: method} }

func wants(t *testing.T, err error, code rousev1.ErrorCode) {
	t.Helper()
	var r *actors.Refusal
	if !errors.As(err, &r) || r.Detail.GetCode() != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// A question finds the leader: by what is known, by a redirect, and after a
// while when nobody led at first.
func TestAskFindsTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _ := newNodes(t, 3)
		ask := func() string {
			t.Helper()
			b, err := nodes[0].Forward(t.Context(), call("m"))
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		go func() {
			<-time.After(3 * time.Second)
			nodes[2].leads.Store(true)
			nodes[0].believes(nodes[2].sys.Address())
		}()
		start := time.Now()
		if got := ask(); got != "2" || time.Since(start) > 4*time.Second {
			t.Errorf("answered by %s after %v", got, time.Since(start))
		}
		nodes[0].believes(nodes[1].sys.Address())
		nodes[1].believes(nodes[2].sys.Address())
		start = time.Now()
		if got := ask(); got != "2" || time.Since(start) != 40*ms {
			t.Errorf("answered by %s after %v, want a redirect without a pause", got, time.Since(start))
		}
		nodes[0].leads.Store(true)
		start = time.Now()
		if got := ask(); got != "0" || time.Since(start) != 0 {
			t.Errorf("answered by %s after %v, want the node itself", got, time.Since(start))
		}
		if n := nodes[0].ran.Load() + nodes[1].ran.Load() + nodes[2].ran.Load(); n != 3 {
			t.Errorf("three questions were executed %d times", n)
		}
	})
}

// Two nodes that take each other for the leader are not asked in a circle without
// a pause.
func TestRedirectsInACircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _ := newNodes(t, 3)
		nodes[0].believes(nodes[1].sys.Address())
		nodes[1].believes(nodes[2].sys.Address())
		nodes[2].believes(nodes[1].sys.Address())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := nodes[0].Forward(ctx, call("m"))
		wants(t, err, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
	})
}

// What certainly was not executed is executed by the next leader; what may have
// been is not.
func TestLeaderChangesDuringACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, network := newNodes(t, 3)
		nodes[0].believes(nodes[1].sys.Address())
		nodes[1].leads.Store(true)
		for _, certain := range []error{storage.ErrNotLeader, storage.ErrDropped} {
			nodes[1].leads.Store(true)
			nodes[1].admin = func(context.Context, *actorv1.AdminCall) ([]byte, error) {
				nodes[1].leads.Store(false)
				nodes[1].believes(nodes[2].sys.Address())
				nodes[2].leads.Store(true)
				return nil, fmt.Errorf("catalog: %w", certain)
			}
			if b, err := nodes[0].Forward(t.Context(), call("m")); err != nil || string(b) != "2" {
				t.Errorf("%v: %q, %v", certain, b, err)
			}
		}
		nodes[1].leads.Store(true)
		nodes[1].admin = func(context.Context, *actorv1.AdminCall) ([]byte, error) { return nil, storage.ErrUnknown }
		before := nodes[2].ran.Load()
		_, err := nodes[0].Forward(t.Context(), call("m"))
		wants(t, err, rousev1.ErrorCode_ERROR_CODE_DEADLINE)
		network.Cut("n1", "n0") // executed, and the answer is lost
		nodes[1].admin = func(context.Context, *actorv1.AdminCall) ([]byte, error) { return nil, nil }
		ran := nodes[1].ran.Load()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err = nodes[0].Forward(ctx, call("m"))
		wants(t, err, rousev1.ErrorCode_ERROR_CODE_DEADLINE)
		if nodes[1].ran.Load() != ran+1 || nodes[2].ran.Load() != before {
			t.Error("a call that may have been executed was repeated")
		}
	})
}

// An order about the cluster is given again to the next leader, whatever became of
// it at the former one.
func TestOrderOutlivesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, network := newNodes(t, 3)
		for _, c := range []struct {
			name string
			ends func()
			err  error
		}{
			{"it loses its leadership in the midst of it", func() {}, storage.ErrUnknown},
			{"its answer is lost", func() { network.Cut("n1", "n0") }, nil},
			{"it is gone", func() { nodes[0].PeerDown(nodes[1].sys.Address()) }, nil},
		} {
			nodes[0].believes(nodes[1].sys.Address())
			nodes[1].leads.Store(true)
			nodes[1].admin = func(context.Context, *actorv1.AdminCall) ([]byte, error) {
				nodes[1].leads.Store(false)
				nodes[2].leads.Store(true)
				nodes[0].believes(nodes[2].sys.Address())
				c.ends()
				return nil, c.err
			}
			before, start := nodes[1].ran.Load(), time.Now()
			if b, err := nodes[0].Order(t.Context(), call("m")); err != nil || string(b) != "2" || nodes[1].ran.Load() != before+1 {
				t.Errorf("%s: %q, %v, executed %d times at first", c.name, b, err, nodes[1].ran.Load()-before)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%s: it took %v", c.name, took)
			}
			network.Heal()
		}
	})
}

// A question that may be repeated outlives lost messages.
func TestRepeatableQuestionOutlivesLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, network := newNodes(t, 2)
		nodes[1].leads.Store(true)
		network.Cut("n1", "n0")
		go func() {
			<-time.After(2500 * ms)
			network.Heal()
		}()
		start := time.Now()
		m, err := nodes[0].Admit(t.Context(), nodes[1].sys.Address(), &actorv1.Admit{Name: "new"})
		if err != nil || m.GetCluster() != "new1" || time.Since(start) < 2500*ms || time.Since(start) > 4*time.Second {
			t.Errorf("%v, %v after %v", m, err, time.Since(start))
		}
		network.Cut("n0", "n1")
		_, err = nodes[0].Report(t.Context(), nodes[1].sys.Address())
		wants(t, err, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
		network.Heal()
		for i, want := range []string{"report of 0", "report of 1"} {
			if b, err := nodes[0].Report(t.Context(), nodes[i].sys.Address()); err != nil || string(b) != want {
				t.Errorf("%q, %v", b, err)
			}
		}
		if len(nodes[0].pending) != 0 {
			t.Errorf("%d questions are left behind", len(nodes[0].pending))
		}
	})
}

// Whoever changed something sees it on the node that he asked, or is not kept
// waiting for long.
func TestForwardWaitsForItsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _ := newNodes(t, 2)
		nodes[1].leads.Store(true)
		nodes[0].believes(nodes[1].sys.Address())
		for _, c := range []struct {
			late, want time.Duration
		}{{0, 20 * ms}, {200 * ms, 200 * ms}, {time.Hour, 20*ms + catchUpTime}} {
			nodes[0].applied.Store(6)
			nodes[1].applied.Store(7)
			late := time.AfterFunc(c.late, func() { nodes[0].applied.Store(7) })
			start := time.Now()
			if _, err := nodes[0].Forward(t.Context(), call("m")); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took < c.want || took > c.want+2*catchUpLook {
				t.Errorf("applied %v late: answered after %v, want %v", c.late, took, c.want)
			}
			late.Stop()
		}
	})
}

// Too many questions are refused, at the asker and at the leader, and those under
// way end with the Asker.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, network := newNodes(t, 2)
		nodes[1].leads.Store(true)
		nodes[0].believes(nodes[1].sys.Address())
		nodes[1].admin = func(ctx context.Context, _ *actorv1.AdminCall) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		var mu sync.Mutex
		ends := map[rousev1.ErrorCode]int{}
		ask := func() {
			nodes[0].Go(t.Context(), time.Minute, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Admin{Admin: call("m")}}, func(_ *actorv1.MetaAnswer, err error) {
				var r *actors.Refusal
				errors.As(err, &r)
				mu.Lock()
				defer mu.Unlock()
				ends[r.Detail.GetCode()]++
			})
		}
		ended := func() int {
			mu.Lock()
			defer mu.Unlock()
			return ends[rousev1.ErrorCode_ERROR_CODE_OVERLOADED]
		}
		for range maxServed + 10 {
			ask()
		}
		<-time.After(time.Second)
		synctest.Wait()
		if ended() != 10 {
			t.Errorf("%d of %d were refused by the leader", ended(), maxServed+10)
		}
		network.Cut("n0", "n1")
		for range maxPending - maxServed + 5 {
			ask()
		}
		synctest.Wait()
		if ended() != 15 {
			t.Errorf("%d were refused by the asker", ended()-10)
		}
		nodes[0].Stop()
		mu.Lock()
		defer mu.Unlock()
		if got := ends[rousev1.ErrorCode_ERROR_CODE_DEADLINE]; got != maxPending {
			t.Errorf("%d of %d ended with the Asker: %v", got, maxPending, ends)
		}
	})
}

func TestErrorsOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, _ := newNodes(t, 1)
		for _, c := range []struct {
			err  error
			code rousev1.ErrorCode
		}{
			{&lease.StaleError{Name: "im", Have: 1, Newest: 2}, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
			{lease.ErrTooMany, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED},
			{fmt.Errorf("x: %w", storage.ErrUnknown), rousev1.ErrorCode_ERROR_CODE_DEADLINE},
			{storage.ErrBusy, rousev1.ErrorCode_ERROR_CODE_OVERLOADED},
			{errors.New("disk"), rousev1.ErrorCode_ERROR_CODE_INTERNAL},
			{&actors.Refusal{Detail: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_NOT_FOUND}}, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND},
		} {
			if got := nodes[0].answer(c.err).GetError(); got.GetCode() != c.code {
				t.Errorf("%v became %v", c.err, got)
			}
		}
		for _, err := range []error{storage.ErrNotLeader, storage.ErrDropped} {
			if nodes[0].answer(err).GetRedirect() == nil {
				t.Errorf("%v is no redirect", err)
			}
		}
		nodes[0].leads.Store(true)
		for _, m := range []*actorv1.MetaAsk{
			{},
			{Body: &actorv1.MetaAsk_Take{}},
			{Body: &actorv1.MetaAsk_GiveBack{}},
			{Body: &actorv1.MetaAsk_Exhaust{}},
			{Body: &actorv1.MetaAsk_Grant{}},
			{Body: &actorv1.MetaAsk_Renewal{}},
			{Body: &actorv1.MetaAsk_Shares{}},
			{Body: &actorv1.MetaAsk_Sending{}},
			{Body: &actorv1.MetaAsk_Trace{}},
		} {
			_, err := nodes[0].Ask(t.Context(), m)
			wants(t, err, rousev1.ErrorCode_ERROR_CODE_INTERNAL)
		}
	})
}

// Nobody waits for the answer of a node that is gone: what may be repeated goes
// to the next leader, and of the rest it is said that its fate is open.
func TestPeerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, network := newNodes(t, 3)
		nodes[1].leads.Store(true)
		nodes[0].believes(nodes[1].sys.Address())
		network.Cut("n0", "n1")
		ended := make(chan error, 1)
		admitted := make(chan string, 1)
		start := time.Now()
		go func() {
			_, err := nodes[0].Forward(t.Context(), call("m"))
			ended <- err
		}()
		go func() {
			m, err := nodes[0].Admit(t.Context(), "", &actorv1.Admit{Name: "x"})
			if err != nil {
				t.Error(err)
			}
			admitted <- m.GetCluster()
		}()
		<-time.After(100 * ms)
		nodes[2].leads.Store(true)
		nodes[0].believes(nodes[2].sys.Address())
		nodes[0].PeerDown(nodes[1].sys.Address())
		wants(t, <-ended, rousev1.ErrorCode_ERROR_CODE_DEADLINE)
		if got := <-admitted; got != "x2" {
			t.Errorf("answered by %q", got)
		}
		if took := time.Since(start); took > 400*ms {
			t.Errorf("after %v", took)
		}
	})
}
