package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus/testutil"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/memnet"
)

func TestNodesMeet(t *testing.T) {
	for _, n := range []int{1, 3, 5, 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, memnet.Options{Latency: time.Millisecond, Jitter: time.Millisecond, Loss: 0.01})
				start := time.Now()
				nodes := w.grow(n)
				t.Logf("%d nodes met in %v", n, time.Since(start))
				got := member(w.up[nodes[0]], nodes[n-1])
				host := w.net.Host(nodes[n-1])
				if got.Node != uint64(n) || got.ID() != "system-"+nodes[n-1]+"-1~1" || got.Version != "v1" || got.Unknown ||
					got.Addresses.Actors != host.Addr(9000) || got.Addresses.Peers != host.Addr(9001) || got.Addresses.Gossip != host.Addr(gossipPort) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// A killed node is noticed within 1.5 to 4 s.
func TestCrashIsNoticed(t *testing.T) {
	for _, n := range []int{3, 5, 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var slowest time.Duration
			for seed := range uint64(5) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, memnet.Options{Seed: seed, Latency: time.Millisecond, Jitter: time.Millisecond})
					nodes := w.grow(n)
					<-time.After(10*time.Second + time.Duration(seed)*77*time.Millisecond)
					w.crash(nodes[n-1])
					slowest = max(slowest, w.within(4*time.Second, "crash noticed by all", w.allSee(nodes[:n-1]...)))
				})
			}
			t.Logf("%d nodes: all knew of a crash after %v at most", n, slowest)
		})
	}
}

func TestLeaveIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(3)
		start := time.Now()
		if err := w.up[nodes[2]].Leave(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := w.up[nodes[2]].Leave(context.Background()); err != nil {
			t.Fatalf("the second time: %v", err)
		}
		w.within(time.Second, "leave known", w.allSee(nodes[:2]...))
		t.Logf("all knew after %v", time.Since(start))
		w.net.Crash(nodes[2]) // its process ends
		again := w.join(nodes[2], nodes[0])
		w.within(time.Second, "back", w.allSee(nodes...))
		if again.Self().Epoch != 1 {
			t.Error("a new process was taken for the old one")
		}
	})
}

// One direction of one link hides nobody: the others probe for both.
func TestOneWayCutHidesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(3)
		before := testutil.ToFloat64(w.up[nodes[2]].metrics.changes.WithLabelValues("left"))
		w.net.Cut(nodes[0], nodes[1])
		<-time.After(2 * time.Minute)
		if !w.allSee(nodes...)() {
			t.Errorf("%v, %v, %v", seen(w.up[nodes[0]]), seen(w.up[nodes[1]]), seen(w.up[nodes[2]]))
		}
		if got := testutil.ToFloat64(w.up[nodes[2]].metrics.changes.WithLabelValues("left")); got != before {
			t.Errorf("the third saw %v nodes leave", got-before)
		}
	})
}

// The halves of a partition find each other after any time, and nobody stays
// given up under a list that never forgets.
func TestPartitionHealsWithoutExile(t *testing.T) {
	for _, away := range []time.Duration{5 * time.Second, 40 * time.Second, 20 * time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, memnet.Options{})
				nodes := w.grow(5)
				lists := map[string]*blocklist{}
				for _, name := range nodes {
					lists[name] = &blocklist{}
					lists[name].watch(w.up[name])
				}
				left, right := nodes[:3], nodes[3:]
				w.net.Partition(left, right)
				w.within(5*time.Second, "partition noticed", func() bool { return w.allSee(left...)() && w.allSee(right...)() })
				<-time.After(away)
				w.net.Heal()
				took := w.within(3*rejoinInterval, "all back, and given up by nobody", func() bool {
					if !w.allSee(nodes...)() {
						return false
					}
					for _, name := range nodes {
						for _, x := range w.up[name].Members() {
							if lists[name].has(x.ID()) {
								return false
							}
						}
					}
					return true
				})
				t.Logf("away %v: whole again after %v", away, took)
				synctest.Wait()
				for _, name := range nodes {
					if len(lists[name].blocked) == 0 {
						t.Errorf("%s gave nobody up: the test shows nothing", name)
					}
				}
			})
		})
	}
}

// A node whose only seed is gone for good is found by the others.
func TestPartitionHealsWithoutSeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(4)
		w.crash(nodes[0])
		w.crash(nodes[1])
		w.within(10*time.Second, "seeds gone", w.allSee(nodes[2:]...))
		w.net.Partition(nodes[2:3], nodes[3:])
		<-time.After(5 * time.Minute)
		w.net.Heal()
		w.within(5*rejoinInterval, "met without seeds", w.allSee(nodes[2:]...))
	})
}

func TestFlappingLinkEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(5)
		for i := range 60 {
			w.net.Partition(nodes[:1+i%4], nodes[1+i%4:])
			<-time.After(2 * time.Second)
			w.net.Heal()
			<-time.After(time.Second)
		}
		t.Logf("whole %v after the last flap", w.within(3*rejoinInterval, "whole", w.allSee(nodes...)))
		<-time.After(time.Minute)
		if !w.allSee(nodes...)() {
			t.Error("not stable afterwards")
		}
	})
}

func TestJoinWhilePartitioned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(3)
		w.net.Host("late")
		w.net.Partition([]string{"late"}, nodes)
		w.join("late", nodes[0])
		<-time.After(time.Minute)
		if got := names(w.up["late"]); !slices.Equal(got, []string{"late"}) {
			t.Fatalf("late sees %v through a partition", got)
		}
		w.net.Heal()
		w.within(2*rejoinInterval, "joined", w.allSee(append(nodes, "late")...))
	})
}

func TestFrozenNodeComesBack(t *testing.T) {
	for _, d := range []time.Duration{500 * time.Millisecond, 25 * time.Second, 2 * time.Minute} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, memnet.Options{})
				nodes := w.grow(3)
				w.net.Freeze(nodes[2])
				<-time.After(d)
				if d > 5*time.Second && !w.allSee(nodes[:2]...)() {
					t.Error("nobody noticed that the node is frozen")
				}
				w.net.Thaw(nodes[2])
				t.Logf("frozen %v: back after %v", d, w.within(2*rejoinInterval, "back", w.allSee(nodes...)))
			})
		})
	}
}

// A node that is restarted before anybody notices takes the place of its former
// run in one change.
func TestQuickRestartIsOneChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(3)
		<-time.After(time.Minute)
		var sizes []int // of one goroutine, and looked at when that rests
		w.up[nodes[0]].Watch(func(now []Member) { sizes = append(sizes, len(now)) })
		w.crash(nodes[2])
		<-time.After(200 * time.Millisecond)
		w.join(nodes[2], nodes[0], nodes[1])
		took := w.within(time.Second, "the new run is known", func() bool {
			return member(w.up[nodes[0]], nodes[2]).System == "system-n02-2" && member(w.up[nodes[1]], nodes[2]).System == "system-n02-2"
		})
		t.Logf("known after %v", took)
		<-time.After(time.Minute)
		synctest.Wait()
		if slices.Contains(sizes, 2) || !w.allSee(nodes...)() {
			t.Errorf("the list went through the sizes %v", sizes)
		}
	})
}

// A node that comes back at another address gets its name when the former run
// is known to be dead.
func TestRestartElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(3)
		w.crash(nodes[2])
		o := w.options("elsewhere", nodes[0])
		o.Name = nodes[2]
		w.start(o)
		took := w.within(4*rejoinInterval, "known at the new address", func() bool {
			return member(w.up[nodes[0]], nodes[2]).System == "system-elsewhere-1" && w.allSee(nodes...)()
		})
		t.Logf("known after %v", took)
	})
}

// Two nodes with one name: the first keeps it, and both complain.
func TestTwoNodesOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(3)
		o := w.options("thief", nodes[0])
		o.Name = nodes[2]
		honest := w.up[nodes[2]]
		thief, err := Join(o)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if got := member(w.up[nodes[0]], nodes[2]); got.System != honest.Self().System {
			t.Errorf("%s was given to %s", nodes[2], got.System)
		}
		if testutil.ToFloat64(w.up[nodes[0]].metrics.conflicts) == 0 {
			t.Error("nobody complains")
		}
		if err := thief.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// What another release tells of itself is no reason to fall: it is listed with
// what gossip itself knows.
func TestUnreadableMemberIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(2)
		g, err := w.net.Host("alien").Gossip(":7946")
		if err != nil {
			t.Fatal(err)
		}
		c := memberlist.DefaultLANConfig()
		c.Name, c.Label, c.Transport, c.Logger = "alien", "test", g, slog.NewLogLogger(lines{quiet().Handler()}, slog.LevelDebug)
		c.Delegate = alien{}
		list, err := memberlist.Create(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = list.Shutdown() }()
		if _, err := list.Join([]string{w.net.Host(nodes[0]).Addr(gossipPort)}); err != nil {
			t.Fatal(err)
		}
		w.within(time.Second, "alien listed", func() bool { return len(w.up[nodes[1]].Members()) == 3 })
		got := member(w.up[nodes[0]], "alien")
		if !got.Unknown || got.Addresses.Gossip != w.net.Host("alien").Addr(7946) {
			t.Errorf("%+v", got)
		}
		for _, n := range list.Members() {
			if n.Name != "alien" { // a note that nobody can read
				if err := list.SendReliable(n, []byte("\xff\xfe junk")); err != nil {
					t.Error(err)
				}
				if err := list.SendBestEffort(n, []byte("junk")); err != nil {
					t.Error(err)
				}
			}
		}
		<-time.After(time.Minute)
		if testutil.ToFloat64(w.up[nodes[0]].metrics.dropped) == 0 {
			t.Error("the junk was not counted")
		}
	})
}

type alien struct{}

func (alien) NodeMeta(int) []byte             { return []byte("\xffnot ours") }
func (alien) NotifyMsg([]byte)                {}
func (alien) GetBroadcasts(int, int) [][]byte { return nil }
func (alien) LocalState(bool) []byte          { return []byte("state that nobody reads") }
func (alien) MergeRemoteState([]byte, bool)   {}

func TestUpdateSelf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		nodes := w.grow(3)
		self := w.up[nodes[0]].Self()
		self.Name, self.System, self.Epoch = "other", "other", 7 // are kept
		self.Version, self.Addresses = "v2", &actorv1.NodeAddresses{Grpc: "example.com:1"}
		if err := w.up[nodes[0]].UpdateSelf(self); err != nil {
			t.Fatal(err)
		}
		w.within(time.Second, "told", func() bool {
			got := member(w.up[nodes[2]], nodes[0])
			return got.Version == "v2" && got.Addresses.Grpc == "example.com:1" && got.System == "system-n00-1" && got.Epoch == 1
		})
		self.Zone = long(MetaMax)
		if err := w.up[nodes[0]].UpdateSelf(self); err == nil {
			t.Error("took a zone of 512 bytes")
		}
		if got := w.up[nodes[0]].Self(); got.Zone != "" || got.Version != "v2" {
			t.Errorf("a refused update changed %+v", got)
		}
	})
}

// Names are resolved for each attempt, and may stand for several nodes, some of
// them dead.
func TestSeedsByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		w.join("a")
		w.join("b", "a")
		w.net.Host("dead")
		w.net.Freeze("dead")
		var records []string
		var mu sync.Mutex
		o := w.options("c", "all.example")
		o.Resolve = func(ctx context.Context, host string) (ips []string, err error) {
			if host != "all.example" {
				return nil, fmt.Errorf("asked for %s", host)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, r := range records {
				ip, err := w.net.LookupHost(ctx, r)
				if err != nil {
					return nil, err
				}
				ips = append(ips, ip...)
			}
			return ips, nil
		}
		w.start(o)
		<-time.After(time.Minute)
		if got := names(w.up["c"]); !slices.Equal(got, []string{"c"}) {
			t.Fatalf("c sees %v", got)
		}
		mu.Lock()
		records = []string{"dead", "c", "b"}
		mu.Unlock()
		w.within(2*rejoinInterval, "found by the new records", w.allSee("a", "b", "c"))
	})
}

func TestLabelsKeepClustersApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		w.join("a")
		o := w.options("b", "a")
		o.Label = "another"
		w.start(o)
		<-time.After(time.Minute)
		if a, b := names(w.up["a"]), names(w.up["b"]); len(a) != 1 || len(b) != 1 {
			t.Errorf("a sees %v, b %v", a, b)
		}
	})
}

func TestOtherNetworksAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		for _, name := range []string{"a", "b", "c"} {
			o := w.options(name, "a")
			if name != "c" {
				o.Allow = []net.IPNet{{IP: net.IPv4(10, 77, 0, 0), Mask: net.CIDRMask(31, 32)}} // a and b
			}
			w.start(o)
		}
		<-time.After(time.Minute)
		if got := names(w.up["a"]); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("a sees %v", got)
		}
	})
}

// Nodes whose seeds are all gone find each other where the records say that the
// members were.
func TestKnownMembersAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{Latency: time.Millisecond})
		at := func(name string) string { return w.net.Host(name).Addr(gossipPort) }
		for _, name := range []string{"a", "b"} {
			o := w.options(name, "gone")
			o.Known = func() []string { return []string{at("a"), at("b"), "no address"} }
			w.start(o)
		}
		w.within(10*time.Second, "both meet", w.allSee("a", "b"))
	})
}

// Nodes that leave at the same moment do not wait for each other for long.
func TestAllLeaveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{Latency: time.Millisecond})
		w.grow(3)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var leaving sync.WaitGroup
		for _, m := range w.up {
			leaving.Go(func() {
				if err := m.Leave(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		leaving.Wait()
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
