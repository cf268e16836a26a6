//go:build !race

package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster"
	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
)

// memberConfig is that of a node of a cluster on free ports of loopback.
func memberConfig(dir, name, join string) config.Config {
	c := config.Default()
	c.Data.Dir, c.Data.Shards, c.Data.MinFreeDisk = filepath.Join(dir, name), 4, 64<<20
	c.GRPC.Listen, c.HTTP.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Cluster.Dir, c.Cluster.Name, c.Cluster.Join = filepath.Join(dir, "secrets"), name, join
	c.Cluster.Peers, c.Cluster.Actors, c.Cluster.Gossip = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	return c
}

func startWithin(t *testing.T, d time.Duration, c config.Config) (*Node, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return StartContext(ctx, Options{Config: c, Logger: slog.New(slog.DiscardHandler), Version: "test"})
}

func gossipOf(t *testing.T, n *Node) string {
	t.Helper()
	address := ""
	for _, m := range n.peers.gossip.Members() {
		if m.Node == n.self {
			address = m.Addresses.GetGossip()
		}
	}
	if address == "" {
		t.Fatal("the node does not know itself")
	}
	return address
}

func operatorKey(t *testing.T, dir string) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(dir, OperatorKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

// Nodes without data that are told to join each other found nothing: with two
// clusters, whatever one of them took in would be lost.
func TestTwoThatJoinEachOtherFoundNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := memberConfig(dir, "a", ""), memberConfig(dir, "b", "")
	a.Cluster.Gossip, b.Cluster.Gossip = freePort(t), freePort(t)
	a.Cluster.Join, b.Cluster.Join = b.Cluster.Gossip, a.Cluster.Gossip
	ended, began := make(chan error, 2), time.Now()
	for _, c := range []config.Config{a, b} {
		go func() {
			n, err := startWithin(t, 4*time.Second, c)
			if err == nil {
				err = errors.Join(errors.New("it serves"), n.Stop(context.Background()))
			}
			ended <- err
		}()
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not admitted") {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("nodes that stop at the same moment wait for each other: %v", took)
	}
	for _, c := range []config.Config{a, b} {
		s, err := storage.Open(c.Data.Dir, storage.Options{MinFreeBytes: 64 << 20, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if held, err := s.Replicas(); err != nil || len(held) > 0 {
			t.Errorf("%s holds %v, %v", c.Cluster.Name, held, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A server that was alone becomes the first node of a cluster with all it has,
// and keeps its keys; it does not join another one, which would delete its facts.
func TestServerThatWasAloneOpensToOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	alone := memberConfig(dir, "first", "")
	secrets := alone.Cluster.Dir
	alone.Cluster.Dir = ""
	n, err := startWithin(t, 20*time.Second, alone)
	if err != nil {
		t.Fatal(err)
	}
	key := operatorKey(t, alone.Data.Dir)
	if status, got := post(t, n, key, "AdminService/CreateApp", `{"appId":"chat"}`); status != 200 {
		t.Fatal(status, got)
	}
	stop(t, n)

	open := alone
	open.Cluster.Dir = secrets
	if n, err = startWithin(t, 20*time.Second, open); err != nil {
		t.Fatal(err)
	}
	second, err := startWithin(t, 20*time.Second, memberConfig(dir, "second", gossipOf(t, n)))
	if err != nil {
		t.Fatal(err)
	}
	if status, got := post(t, second, key, "AdminService/GetApp", `{"appId":"chat"}`); status != 200 {
		t.Error(status, got)
	}
	stop(t, second)
	stop(t, n)
}

// The facts of a server that served alone are not exchanged for a cluster's.
func TestServerWithFactsDoesNotJoin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := memberConfig(dir, "old", "")
	s, err := storage.Open(old.Data.Dir, storage.Options{Shards: 4, MinFreeBytes: 64 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	stored := make(chan error, 1) // as an older release writes: without replicas
	s.Propose(storage.MetaShard, []storage.Mutation{{Op: storage.Set, Key: storage.AppendCatalogueKey(nil, 'x', "y"), Value: []byte("z")}}, func(err error) { stored <- err })
	if err := errors.Join(<-stored, s.Close()); err != nil {
		t.Fatal(err)
	}
	one, err := startWithin(t, 20*time.Second, memberConfig(dir, "one", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, one)
	old.Cluster.Join = gossipOf(t, one)
	n, err := startWithin(t, 10*time.Second, old)
	if err == nil {
		stop(t, n)
		t.Fatal("it joined")
	}
	if !strings.Contains(err.Error(), "without cluster.join") || errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// Whoever was admitted, and stopped before its replicas were filled, goes on
// waiting for them after a restart: founded ones would be as good as the others'.
func TestAdmittedWithoutRecordsFoundsNothing(t *testing.T) {
	seen := make(chan struct{}, 1)
	var late *replica.Engine
	open := func(id uint64, send func(frame []byte)) (*replica.Engine, *storage.Store) {
		s, err := storage.Open("db", storage.Options{FS: vfs.NewMem(), Shards: 4, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		e, err := replica.Open(replica.Options{
			ID: id, Store: s, Logger: slog.New(slog.DiscardHandler),
			Send: func(_ uint64, frame []byte) error { send(frame); return nil },
			Open: func(context.Context, uint64) (net.Conn, error) { return nil, errors.New("no snapshots") },
			Changed: func(uint16) {
				select {
				case seen <- struct{}{}:
				default:
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(e.Close(), s.Close()); err != nil {
				t.Error(err)
			}
		})
		return e, s
	}
	late, store := open(2, func([]byte) {})
	leader, _ := open(1, func(frame []byte) { late.Receive(1, frame) })
	if err := leader.Found(storage.MetaShard); err != nil {
		t.Fatal(err)
	}
	changed := make(chan error, 1)
	for {
		leader.Change(storage.MetaShard, replica.Configuration{Voters: []uint64{1}, Learners: []uint64{2}}, func(err error) { changed <- err })
		if err := <-changed; err == nil {
			break
		} else if !errors.Is(err, storage.ErrNotLeader) {
			t.Fatal(err)
		}
		select { // it is not elected yet, or has not applied what came before, of which nothing tells
		case <-seen:
		case <-time.After(lookEvery):
		}
	}
	for len(late.Groups()) == 0 {
		<-seen
	}
	members, err := roster.Open(roster.Options{Store: store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	n := &Node{o: Options{Config: config.Default()}, log: slog.New(slog.DiscardHandler), starting: ended, self: 2, engine: late, store: store, roster: members, peers: &peers{network: &Network{}}}
	n.peers.alive.Store(&map[uint64]cluster.Member{})
	if err := n.begin(); err == nil || !strings.Contains(err.Error(), "not admitted") {
		t.Error(err)
	}
	if held := late.Groups(); !slices.Equal(held, []uint16{storage.MetaShard}) {
		t.Errorf("it founded %v", held)
	}
}

// Members that restart at other ports, without the node that they once joined,
// find each other by their records.
func TestMembersRestartWithoutTheFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, err := startWithin(t, 20*time.Second, memberConfig(dir, "one", ""))
	if err != nil {
		t.Fatal(err)
	}
	key := operatorKey(t, one.o.Config.Data.Dir)
	names, members := []string{"two", "three"}, map[string]*Node{}
	for _, name := range names {
		c := memberConfig(dir, name, gossipOf(t, one))
		c.Cluster.Gossip = freePort(t)
		if members[name], err = startWithin(t, 20*time.Second, c); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, one, func() bool {
		p, _ := one.roster.View().Placement(storage.MetaShard)
		return len(p.Voters) == 3 && allSettled(one)
	})
	for _, name := range names {
		stop(t, members[name])
	}
	stop(t, one) // for ever
	started := make(chan *Node, 2)
	for _, name := range names {
		c := members[name].o.Config
		go func() {
			n, err := startWithin(t, 40*time.Second, c)
			if err != nil {
				t.Error(err)
			}
			started <- n
		}()
	}
	for range names {
		n := <-started
		if n == nil {
			continue
		}
		defer stop(t, n)
		if status, got := post(t, n, key, "AdminService/ListApps", `{}`); status != 200 {
			t.Error(status, got)
		}
	}
}

func allSettled(n *Node) bool {
	for _, p := range n.roster.View().Placements() {
		if !p.Settled || len(p.Voters) != 3 {
			return false
		}
	}
	return true
}

// waitFor returns when is holds, which changes of the records bring about.
func waitFor(t *testing.T, n *Node, is func() bool) {
	t.Helper()
	changed, late := n.roster.Changed(), time.After(40*time.Second)
	for !is() {
		select {
		case <-changed:
		case <-late:
			t.Fatalf("not in time: %+v", n.roster.View().Placements())
		}
	}
}

// What a start had built is gone when it fails: the same directory and ports
// serve a later one.
func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := memberConfig(dir, "one", "")
	c.Cluster.Peers, c.Cluster.Actors, c.Cluster.Gossip = freePort(t), freePort(t), freePort(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // of a test
	spoil := map[string]func(c *config.Config){
		"cluster.peers":  func(c *config.Config) { c.Cluster.Peers = taken.Addr().String() },
		"cluster.actors": func(c *config.Config) { c.Cluster.Actors = taken.Addr().String() },
		"gossip":         func(c *config.Config) { c.Cluster.Gossip = taken.Addr().String() },
		"grpc.listen":    func(c *config.Config) { c.GRPC.Listen = taken.Addr().String() },
		"http.listen":    func(c *config.Config) { c.HTTP.Listen = taken.Addr().String() },
		"tls":            func(c *config.Config) { c.TLS.CertFile, c.TLS.KeyFile = "/nowhere", "/nowhere" },
	}
	for word, bad := range spoil {
		wrong := c
		bad(&wrong)
		n, err := startWithin(t, 20*time.Second, wrong)
		if err == nil {
			stop(t, n)
			t.Fatalf("%s: it started", word)
		}
		if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "stopping") {
			t.Errorf("%s: %v", word, err)
		}
	}
	n, err := startWithin(t, 20*time.Second, c)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
}

// A node that lost its disk, and founds a cluster because nothing tells it to
// join, says that others serve beside it.
func TestSecondClusterIsToldOf(t *testing.T) {
	store, err := storage.Open("db", storage.Options{FS: vfs.NewMem(), Shards: 4, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // of a test
	members, err := roster.Open(roster.Options{Store: store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	self := replica.NodeID(store.NodeID())
	var out bytes.Buffer
	n := &Node{log: slog.New(slog.NewTextHandler(&out, nil)), self: self, store: store, roster: members, peers: &peers{}}
	other := cluster.Member{Name: "other", Node: 7, Addresses: &actorv1.NodeAddresses{}}
	serving := other
	serving.Addresses = &actorv1.NodeAddresses{Grpc: "10.0.0.7:7701"}
	told := func(when string, m cluster.Member, want int) {
		t.Helper()
		n.lookBeside(map[uint64]cluster.Member{self: {Name: "self", Node: self, Addresses: serving.Addresses}, m.Node: m})
		if got := strings.Count(out.String(), "node=other"); got != want {
			t.Errorf("%s: told %d times, want %d:\n%s", when, got, want, out.String())
		}
	}
	told("before it is of a cluster", serving, 0)
	err = members.Update(t.Context(), func(ms []storage.Mutation, done func(error)) { store.Propose(storage.MetaShard, ms, done) }, func(v *roster.View) ([]storage.Mutation, error) {
		return v.Found(roster.NewCluster(), &actorv1.Admit{Node: self, Store: store.NodeID(), Name: "self", Shards: 4}, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	told("a node that is about to join", other, 0)
	told("a node that serves", serving, 1)
	told("again", serving, 1)
}

// Shards without a leader are waited for, and not for ever; a node that does not
// know who leads the meta group serves nobody.
func TestCanServe(t *testing.T) {
	for _, c := range []struct {
		missing []uint16
		waited  time.Duration
		want    bool
	}{
		{nil, 0, true},
		{[]uint16{3}, patience - 1, false},
		{[]uint16{3}, patience, true},
		{[]uint16{storage.MetaShard, 3}, time.Hour, false},
	} {
		if got := canServe(c.missing, c.waited); got != c.want {
			t.Errorf("%v after %v: %v", c.missing, c.waited, got)
		}
	}
}

// What a server alone has sealed cannot be opened with the keys of a cluster that
// others founded: it says so instead of losing tokens and API keys in silence.
func TestOtherKeysAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := memberConfig(dir, "one", "")
	secrets := c.Cluster.Dir
	c.Cluster.Dir = ""
	n, err := startWithin(t, 20*time.Second, c)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := seal.Generate(filepath.Join(secrets, ownKeyFile)); err != nil {
		t.Fatal(err)
	}
	c.Cluster.Dir = secrets
	if n, err := startWithin(t, 20*time.Second, c); err == nil || !strings.Contains(err.Error(), "other keys") {
		t.Error(n, err)
	}
}

// A node that is no longer to be open to others says where its keys are.
func TestClosedAgainWithoutKeys(t *testing.T) {
	t.Parallel()
	c := memberConfig(t.TempDir(), "one", "")
	n, err := startWithin(t, 20*time.Second, c)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	secrets := c.Cluster.Dir
	c.Cluster.Dir = ""
	if _, err := startWithin(t, 20*time.Second, c); err == nil || !strings.Contains(err.Error(), "set seal.key_file") {
		t.Fatal(err)
	}
	c.Seal.KeyFile = filepath.Join(secrets, ownKeyFile)
	if n, err = startWithin(t, 20*time.Second, c); err != nil {
		t.Fatal(err)
	}
	stop(t, n)
}

// A node that was removed ends, and does not come back on its old data: it would
// go on with the API keys of the day when it went.
func TestRemovedNodeEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, err := startWithin(t, 20*time.Second, memberConfig(dir, "one", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, one)
	c := memberConfig(dir, "two", gossipOf(t, one))
	two, err := startWithin(t, 20*time.Second, c)
	if err != nil {
		t.Fatal(err)
	}
	if status, got := post(t, one, operatorKey(t, one.o.Config.Data.Dir), "ClusterService/RemoveNode", `{"node":"two"}`); status != 200 {
		t.Fatal(status, got)
	}
	select {
	case err := <-two.Failed():
		if !isRefusal(err) || !strings.Contains(err.Error(), "removed") {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it goes on")
	}
	stop(t, two)
	if two, err = startWithin(t, 20*time.Second, c); err == nil {
		stop(t, two)
		t.Fatal("it came back")
	}
	if !strings.Contains(err.Error(), "empty data directory") {
		t.Error(err)
	}
}

// A node that was down when it was removed hears of it from those that stay, as
// no leader counts on it any more.
func TestNodeRemovedWhileDownDoesNotComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, err := startWithin(t, 20*time.Second, memberConfig(dir, "one", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, one)
	c := memberConfig(dir, "two", gossipOf(t, one))
	two, err := startWithin(t, 20*time.Second, c)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, two)
	if status, got := post(t, one, operatorKey(t, one.o.Config.Data.Dir), "ClusterService/RemoveNode", `{"node":"two"}`); status != 200 {
		t.Fatal(status, got)
	}
	waitFor(t, one, func() bool { return one.roster.View().Removed(two.self) })
	if two, err = startWithin(t, 20*time.Second, c); err == nil {
		stop(t, two)
		t.Fatal("it came back")
	}
	if !strings.Contains(err.Error(), "empty data directory") {
		t.Error(err)
	}
}
