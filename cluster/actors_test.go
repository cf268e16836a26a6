package cluster

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/quick"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/memnet"
)

func TestIdentity(t *testing.T) {
	same := func(app, user string) bool {
		if app == "" || user == "" {
			_, _, err := ParseIdentity(Identity(app, user))
			return err != nil
		}
		a, u, err := ParseIdentity(Identity(app, user))
		return err == nil && a == app && u == user
	}
	if err := quick.Check(same, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
	for _, s := range [][2]string{{"a", "b/c"}, {"a/b", "c"}, {"a", "../x"}, {"a", "%2F"}, {"é", "\x00"}, {"", "u"}, {"a", ""}} {
		if !same(s[0], s[1]) {
			t.Errorf("%q", s)
		}
	}
	if Identity("a/b", "c") == Identity("a", "b/c") {
		t.Error("two users have one identity")
	}
	for _, bad := range []string{"", "a", "/", "a/b/c", "a/%zz", "%zz/a"} {
		if _, _, err := ParseIdentity(bad); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

func TestHostPort(t *testing.T) {
	for _, addr := range []string{"10.0.0.1:80", "a.example:65535", "[::1]:9", "[fe80::1%eth0]:9"} {
		host, port, err := hostPort(addr)
		if m := (&protocluster.Member{Host: host, Port: port}); err != nil || m.Address() != addr {
			t.Errorf("%s became %s, %v", addr, m.Address(), err)
		}
	}
	for _, bad := range []string{"", "a", "a:b", "a:65536", "a:-1"} {
		if _, _, err := hostPort(bad); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

const testShards = 4

func shardOf(app, user string) uint16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(app + "/" + user))
	return uint16(1 + h.Sum32()%testShards)
}

// engine is a node with actors: its shards answer with their name.
type engine struct {
	sys    *actor.ActorSystem
	actors *Actors
	mu     sync.Mutex
	ids    []string // of the last topology
}

func (e *engine) topology() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.ids)
}

// lead says which node leads each shard.
func (w *world) engine(name string, lead func(shard uint16) (node string, ok bool), seeds ...string) *engine {
	w.t.Helper()
	e := &engine{sys: actor.NewActorSystem(actor.WithLoggerFactory(systemLog))}
	if err := w.net.Host(name).Attach(e.sys, ":9000"); err != nil {
		w.t.Fatal(err)
	}
	for shard := range uint16(testShards) {
		e.spawn(w.t, name, shard+1)
	}
	o := w.options(name, seeds...)
	o.Self.System = e.sys.ID
	m := w.start(o)
	e.sys.EventStream.Subscribe(func(evt any) {
		if topology, ok := evt.(*protocluster.ClusterTopology); ok {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.ids = nil
			for _, m := range topology.Members {
				e.ids = append(e.ids, m.Id)
			}
			slices.Sort(e.ids)
			wake(w.changed)
		}
	})
	where := func(app, user string) (uint16, string, bool) {
		shard := shardOf(app, user)
		node, ok := lead(shard)
		if !ok {
			return 0, "", false
		}
		return shard, w.net.Host(node).Addr(9000), true
	}
	a, err := StartActors(e.sys, ActorsOptions{Membership: m, Where: where, Ask: func(ctx context.Context, app, user string, m proto.Message) (proto.Message, error) {
		return e.ask(ctx, app, user, m)
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	e.actors = a
	w.t.Cleanup(func() {
		a.Close()
		a.Close()
		e.sys.Shutdown()
		<-time.After(10 * time.Second) // throttles of logs end with their period
	})
	return e
}

// ask is the shortest router: one attempt.
func (e *engine) ask(ctx context.Context, app, user string, m proto.Message) (proto.Message, error) {
	pid := e.actors.Cluster().Get(Identity(app, user), UserKind)
	if pid == nil {
		return nil, errors.New("no leader")
	}
	left := time.Second
	if t, ok := ctx.Deadline(); ok {
		left = time.Until(t)
	}
	answer, err := e.sys.Root.RequestFuture(pid, &actorv1.Ask{App: app, User: user, Body: &actorv1.Ask_Command{Command: &actorv1.Command{Type: string(proto.MessageName(m))}}}, left).Result()
	if err != nil {
		return nil, err
	}
	return answer.(proto.Message), nil
}

func (e *engine) spawn(t *testing.T, node string, shard uint16) {
	t.Helper()
	_, err := e.sys.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*actorv1.Ask); ok && c.Sender() != nil {
			c.Respond(&actorv1.Answer{Response: &actorv1.Command{Type: m.GetCommand().GetType(), Node: node, Body: fmt.Append(nil, m.App, "|", m.User, "|", shard)}})
		}
	}), fmt.Sprint("shard-", shard))
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsersAreAskedAtTheirLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{Latency: time.Millisecond})
		var mu sync.Mutex
		leaders := map[uint16]string{1: "n0", 2: "n1", 3: "n2", 4: "n0"}
		lead := func(shard uint16) (string, bool) {
			mu.Lock()
			defer mu.Unlock()
			node, ok := leaders[shard]
			return node, ok
		}
		engines := map[string]*engine{}
		for i := range 3 {
			name := fmt.Sprint("n", i)
			engines[name] = w.engine(name, lead, "n0")
		}
		w.within(5*time.Second, "met", w.allSee("n0", "n1", "n2"))
		for name, e := range engines {
			c := protocluster.GetCluster(e.sys)
			for i := range 50 {
				app, user := "app/1", fmt.Sprint("user/", i)
				answer, err := c.Request(Identity(app, user), UserKind, &wrapperspb.StringValue{Value: "x"}, protocluster.WithTimeout(100*time.Millisecond))
				if err != nil {
					t.Fatalf("from %s: %v", name, err)
				}
				got := answer.(*actorv1.Answer).Response
				shard := shardOf(app, user)
				if node, _ := lead(shard); got.Node != node || string(got.Body) != fmt.Sprint(app, "|", user, "|", shard) || got.Type != "google.protobuf.StringValue" {
					t.Fatalf("from %s: %v", name, got)
				}
			}
		}
		c := engines["n0"].actors.Cluster()
		u := Identity("a", "b")
		m := &wrapperspb.StringValue{}
		mu.Lock()
		delete(leaders, shardOf("a", "b"))
		mu.Unlock()
		for what, call := range map[string]func() (any, error){
			"no leader":           func() (any, error) { return c.Request(u, UserKind, m) },
			"no identity":         func() (any, error) { return c.Request("x", UserKind, m) },
			"no actors of kind":   func() (any, error) { return c.Request(u, "topic", m) },
			"must be a protobuf":  func() (any, error) { return c.Request(u, UserKind, "text") },
			"futures of requests": func() (any, error) { return c.RequestFuture(u, UserKind, m) },
		} {
			if _, err := call(); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if c.Get("x", UserKind) != nil || c.Get(u, "topic") != nil {
			t.Error("found who does not exist")
		}
	})
}

// The deadline of a request is the call's, else the options'.
func TestRequestHasOneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		lead := func(uint16) (string, bool) { return "n1", true }
		e := w.engine("n0", lead)
		w.engine("n1", lead, "n0")
		w.net.Partition([]string{"n0"}, []string{"n1"})
		for _, c := range []struct {
			opts []protocluster.GrainCallOption
			want time.Duration
		}{{nil, requestTimeout}, {[]protocluster.GrainCallOption{protocluster.WithTimeout(time.Second), protocluster.WithRetryCount(9)}, time.Second}} {
			start := time.Now()
			if _, err := e.actors.Cluster().Request(Identity("a", "b"), UserKind, &wrapperspb.StringValue{}, c.opts...); err == nil {
				t.Error("answered through a partition")
			}
			if got := time.Since(start); got != c.want {
				t.Errorf("took %v, want %v", got, c.want)
			}
		}
	})
}

// protoactor's topologies lose those behind a partition and get them back,
// although it never forgets an id that left.
func TestTopologyHealsWithoutExile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		lead := func(uint16) (string, bool) { return "n2", true }
		engines := map[string]*engine{}
		nodes := []string{"n0", "n1", "n2"}
		for _, name := range nodes {
			engines[name] = w.engine(name, lead, "n0", "n1")
		}
		all := func(members ...string) func() bool {
			return func() bool {
				var want []string
				for _, name := range members {
					want = append(want, w.up[name].Self().ID())
				}
				slices.Sort(want)
				for _, name := range members {
					if !slices.Equal(engines[name].topology(), want) {
						return false
					}
				}
				return true
			}
		}
		w.within(5*time.Second, "all know all", all(nodes...))
		for round := range 3 {
			w.net.Partition(nodes[:2], nodes[2:])
			w.within(5*time.Second, "the partition is known", func() bool { return all(nodes[:2]...)() && all("n2")() })
			<-time.After(time.Minute)
			w.net.Heal()
			t.Logf("round %d: topologies whole after %v", round, w.within(3*rejoinInterval, "all know all again", all(nodes...)))
			if _, err := engines["n0"].actors.Cluster().Request(Identity("a", "b"), UserKind, &wrapperspb.StringValue{}); err != nil {
				t.Error(err)
			}
		}
		if got := w.up["n2"].Self().Epoch; got < 4 {
			t.Errorf("n2 is in epoch %d after three partitions", got)
		}

		// Who restarts takes the place of its former run.
		w.crash("n2")
		engines["n2"].actors.Close()
		engines["n2"] = w.engine("n2", lead, "n0", "n1")
		w.within(3*time.Second, "the new run is known", all(nodes...))
		if _, err := engines["n0"].actors.Cluster().Request(Identity("a", "b"), UserKind, &wrapperspb.StringValue{}); err != nil {
			t.Error(err)
		}
	})
}

func TestStartActorsRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		m := w.join("n0")
		sys := actor.NewActorSystem(actor.WithLoggerFactory(systemLog))
		o := ActorsOptions{
			Membership: m, Where: func(string, string) (uint16, string, bool) { return 0, "", false },
			Ask: func(context.Context, string, string, proto.Message) (proto.Message, error) { return nil, nil },
		}
		refused := func(what string) {
			t.Helper()
			if a, err := StartActors(sys, o); err == nil {
				a.Close()
				t.Errorf("%s: started", what)
			}
		}
		refused("no address")
		if err := w.net.Host("n0").Attach(sys, ":9000"); err != nil {
			t.Fatal(err)
		}
		refused("another system's id")
		o.Client = true
		a, err := StartActors(sys, o)
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
		o.Ask = nil
		refused("no way to ask")
		if err := a.provider.StartMember(a.Cluster()); err == nil {
			t.Error("a provider started twice")
		}
		sys.Shutdown()
	})
}
