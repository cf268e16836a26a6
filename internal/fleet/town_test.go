package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/cespare/xxhash/v2"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/api/rouse/v1/rousev1connect"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	chat   = "chat" // the app of all tests
	phone  = "phone"
	notify = "apns"
)

// town is a cluster with the world around it: a vendor, and callers.
type town struct {
	fleet  *Fleet
	doors  []*door // one for each node
	key    string
	shards int
	apns   *fake.APNs
	pushes *pushLog
	cred   *rousev1.Credential
}

// door is how a caller reaches one node.
type door struct {
	*Node
	town    *town
	intake  rousev1connect.IntakeServiceClient
	users   rousev1connect.UserServiceClient
	devices rousev1connect.DeviceServiceClient
	admin   rousev1connect.AdminServiceClient
	cluster rousev1connect.ClusterServiceClient
}

func server(flags ...string) *exec.Cmd { return exec.Command(program, flags...) } //nolint:gosec // our own program

var serverEnv = []string{"ROUSE_LEASE_TTL=3s", "ROUSE_DATA_BLOCK_CACHE=16MiB", "ROUSE_DATA_MEMTABLE=4MiB"}

// newTown lays out a cluster, and starts its first node.
func newTown(dir string, nodes, shards int, spaces *Spaces) (*town, error) {
	return newTownOf(server, dir, nodes, shards, spaces)
}

func newTownOf(server func(flags ...string) *exec.Cmd, dir string, nodes, shards int, spaces *Spaces) (_ *town, err error) {
	w := &town{shards: shards, pushes: &pushLog{seen: map[pushed]map[string]int{}}}
	env := append([]string{fmt.Sprint("ROUSE_DATA_SHARDS=", shards)}, serverEnv...)
	if w.fleet, err = New(Options{Dir: dir, Nodes: nodes, Server: server, Env: env, Spaces: spaces}); err != nil {
		return nil, err
	}
	for _, n := range w.fleet.Nodes() {
		w.open(n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := w.fleet.Node(0).Start(ctx); err != nil {
		return nil, err
	}
	if w.key, err = w.fleet.OperatorKey(); err != nil {
		return nil, err
	}
	if err := w.openVendor(); err != nil {
		return nil, err
	}
	if _, err := w.doors[0].admin.CreateApp(ctx, &rousev1.CreateAppRequest{AppId: chat}); err != nil {
		return nil, err
	}
	_, err = w.doors[0].admin.PutCredential(ctx, &rousev1.PutCredentialRequest{AppId: chat, Credential: w.cred})
	return w, err
}

// openVendor starts the fake APNs.
func (w *town) openVendor() error {
	ca, err := fake.NewCA()
	if err != nil {
		return err
	}
	cert, err := ca.Server("127.0.0.1")
	if err != nil {
		return err
	}
	private, public, err := fake.NewAPNsKey()
	if err != nil {
		return err
	}
	w.apns = fake.NewAPNs(fake.APNsOptions{Cert: cert, AnyDevice: true, KeepPerDevice: 1, OnPush: w.pushes.add})
	w.apns.AddKey("TEAM", "KEY", public)
	l, err := fake.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	go w.apns.Serve(l) //nolint:errcheck // ends with Close
	w.cred = &rousev1.Credential{Name: notify, Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{
		BundleId: "im.rouse.chat", KeyId: "KEY", TeamId: "TEAM", AuthKeyPem: string(private), Endpoint: fake.URL(l), CaPem: string(ca.PEM()),
	}}}
	return nil
}

func (w *town) close() error {
	err := w.fleet.Close()
	if w.apns != nil {
		err = errors.Join(err, w.apns.Close())
	}
	return err
}

// open makes the door of a node.
func (w *town) open(n *Node) *door {
	transport := &http.Transport{DialContext: n.Dial, Protocols: &http.Protocols{}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	caller, base := &http.Client{Transport: transport}, "http://"+n.HTTP()
	who := connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
			r.Header().Set("Authorization", "Bearer "+w.key)
			if s := r.Spec().Procedure; !strings.Contains(s, "AdminService") && !strings.Contains(s, "ClusterService") {
				r.Header().Set("Rouse-App", chat)
			}
			return next(ctx, r)
		}
	}))
	d := &door{
		Node: n, town: w,
		intake:  rousev1connect.NewIntakeServiceClient(caller, base, who),
		users:   rousev1connect.NewUserServiceClient(caller, base, who),
		devices: rousev1connect.NewDeviceServiceClient(caller, base, who),
		admin:   rousev1connect.NewAdminServiceClient(caller, base, who),
		cluster: rousev1connect.NewClusterServiceClient(caller, base, who),
	}
	w.doors = append(w.doors, d)
	return d
}

// addNode lays out one more node.
func (w *town) addNode(t *testing.T, i int) *door {
	t.Helper()
	n, err := w.fleet.Add(i)
	if err != nil {
		t.Fatal(err)
	}
	return w.open(n)
}

// others are the doors of all nodes but one.
func (w *town) others(not *door) (rest []*door) {
	for _, d := range w.doors {
		if d != not {
			rest = append(rest, d)
		}
	}
	return rest
}

// shardOf is where a user lives.
func (w *town) shardOf(user string) int {
	return 1 + int(xxhash.Sum64String(chat+"\x00"+user)%uint64(w.shards))
}

// everywhere names users, so many in each shard.
func (w *town) everywhere(prefix string, each int) (users []string) {
	have := make([]int, w.shards+1)
	for i := 0; len(users) < each*w.shards; i++ {
		user := fmt.Sprint(prefix, i)
		if shard := w.shardOf(user); have[shard] < each {
			have[shard]++
			users = append(users, user)
		}
	}
	return users
}

// status is the cluster as a node sees it.
func (d *door) status(ctx context.Context) (*rousev1.GetClusterStatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	return d.cluster.GetClusterStatus(ctx, &rousev1.GetClusterStatusRequest{})
}

// settled wants so many nodes alive, a full set of replicas of every group on
// them, and nothing moving.
func (d *door) settled(ctx context.Context, nodes int) error {
	s, err := d.status(ctx)
	if err != nil {
		return err
	}
	total := s.GetTotals()
	if int(total.GetAlive()) != nodes || total.GetLeaderless() > 0 || total.GetUnderReplicated() > 0 || total.GetMoving() > 0 || int(total.GetGroups()) != d.town.shards+1 {
		return fmt.Errorf("%v", total)
	}
	for _, n := range s.GetNodes() {
		if n.GetState() == rousev1.NodeState_NODE_STATE_ALIVE && n.GetReport() == nil {
			return fmt.Errorf("%s does not answer", n.GetName())
		}
	}
	for _, g := range s.GetGroups() {
		want := nodes
		if nodes == 2 {
			want = 1
		}
		if len(g.GetVoterIds()) != min(want, 3) || len(g.GetOutgoingIds()) > 0 {
			return fmt.Errorf("group %d has %d voters", g.GetGroup(), len(g.GetVoterIds()))
		}
	}
	return nil
}

// spread has every node lead its share.
func (d *door) spread(ctx context.Context) error {
	s, err := d.status(ctx)
	if err != nil {
		return err
	}
	least, most := uint32(1<<30), uint32(0)
	for _, n := range s.GetNodes() {
		least, most = min(least, n.GetReport().GetLeads()), max(most, n.GetReport().GetLeads())
	}
	if most-least > 2 {
		return fmt.Errorf("nodes lead from %d to %d groups", least, most)
	}
	return nil
}

// whole waits until all nodes are well; when there is time, until they lead about
// as much.
func (w *town) whole(t testing.TB) {
	t.Helper()
	began := time.Now()
	for _, d := range w.doors {
		until(t, 30*time.Second, "settled", func() error { return d.settled(t.Context(), len(w.doors)) })
	}
	if thorough() {
		w.balance(t)
	}
	t.Logf("whole after %s", time.Since(began).Round(time.Millisecond))
}

// balance waits until all nodes lead about as much.
func (w *town) balance(t testing.TB) {
	t.Helper()
	var ordered time.Time
	until(t, time.Minute, "leaderships spread", func() error {
		err := w.doors[0].spread(t.Context())
		if err != nil && time.Since(ordered) > 2*time.Second {
			ordered = time.Now()
			_, _ = w.doors[0].cluster.Rebalance(t.Context(), &rousev1.RebalanceRequest{}) // repeated if it fails
		}
		return err
	})
	until(t, 30*time.Second, "settled", func() error { return w.doors[0].settled(t.Context(), len(w.doors)) })
}

// busiest is the door of the node that leads the most groups.
func (w *town) busiest(t testing.TB) *door {
	t.Helper()
	name, most := "", uint32(0)
	until(t, 10*time.Second, "reports", func() error {
		s, err := w.doors[0].status(t.Context())
		for _, n := range s.GetNodes() {
			if leads := n.GetReport().GetLeads(); leads >= most {
				name, most = n.GetName(), leads
			}
		}
		return err
	})
	return w.named(name)
}

// metaLeader is the door of the node that leads the meta group.
func (w *town) metaLeader(t testing.TB) *door {
	t.Helper()
	var found *door
	until(t, 10*time.Second, "the leader of the meta group", func() error {
		for _, d := range w.doors {
			s, err := d.status(t.Context())
			if err != nil || len(s.GetGroups()) == 0 || s.GetGroups()[0].GetGroup() != 0 {
				continue
			}
			for _, n := range s.GetNodes() {
				if n.GetNodeId() == s.GetGroups()[0].GetLeaderId() {
					found = w.named(n.GetName())
					return nil
				}
			}
		}
		return errNotYet
	})
	return found
}

func (w *town) named(name string) *door {
	for _, d := range w.doors {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// shared is the cluster of three that most tests use, one after the other.
var shared struct {
	turn turn
	once sync.Once
	dir  string
	town *town
	err  error
	more bool // nodes have joined the first
}

// turn is of one test at a time.
type turn struct{ sync.Mutex }

// take waits for the turn, which ends when the test has cleaned up.
func (t *turn) take(test *testing.T) {
	t.Lock()
	test.Cleanup(t.Unlock)
}

// shards of the shared cluster: as many as servers have by default when time does
// not matter.
func sharedShards() int {
	if thorough() {
		return 64
	}
	return 32
}

// oneNode is the shared cluster while it is its first node alone, or another such.
func oneNode(t *testing.T) *town {
	t.Helper()
	needsProcesses(t)
	if w := sharedTown(t); !shared.more {
		shared.more = true
		return w
	}
	return ownTown(t, 3, sharedShards(), nil)
}

func sharedTown(t *testing.T) *town {
	t.Helper()
	shared.turn.take(t)
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "rouse-town-"); shared.err == nil {
			shared.town, shared.err = newTown(shared.dir, 3, sharedShards(), nil)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			shared.town.tails(t)
		}
	})
	return shared.town
}

func threeNodes(t *testing.T) *town {
	t.Helper()
	needsProcesses(t)
	w := sharedTown(t)
	shared.more = true
	for _, d := range w.doors {
		if !d.Running() {
			if err := d.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.whole(t)
	return w
}

// atEnd closes what tests share besides.
var atEnd []func() error

func closeShared() (err error) {
	for _, end := range atEnd {
		err = errors.Join(err, end())
	}
	if shared.town != nil {
		err = errors.Join(err, shared.town.close(), os.RemoveAll(shared.dir))
	}
	return err
}

// ownTown is a cluster of one test; its first node runs.
func ownTown(t *testing.T, nodes, shards int, spaces *Spaces) *town {
	t.Helper()
	needsProcesses(t)
	w, err := newTown(t.TempDir(), nodes, shards, spaces)
	if err != nil {
		t.Fatal(err)
	}
	w.closeAfter(t)
	return w
}

// ownTownOf is one of three nodes and 8 shards, with a server of another make.
func ownTownOf(t *testing.T, server func(flags ...string) *exec.Cmd) *town {
	t.Helper()
	w, err := newTownOf(server, t.TempDir(), 3, 8, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.closeAfter(t)
	return w
}

func (w *town) closeAfter(t *testing.T) {
	t.Cleanup(func() {
		if t.Failed() {
			w.tails(t)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
}

// tails shows the last that the servers said.
func (w *town) tails(t *testing.T) {
	for _, n := range w.fleet.Nodes() {
		b, err := os.ReadFile(n.LogFile())
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		t.Logf("%s said at last:\n%s", n.Name, strings.Join(lines[max(0, len(lines)-6):], "\n"))
	}
}
