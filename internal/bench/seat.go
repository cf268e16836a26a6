package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
	"github.com/rouse-im/rouse/internal/app"
	"github.com/rouse-im/rouse/internal/fleet"
	"github.com/rouse-im/rouse/storage/seal"
)

// Seat is the place of one node in a cluster; it outlives the process.
type Seat struct {
	Name, Dir, Secrets string
	Port               int      // first of five: HTTP, gRPC, peers, actors, gossip
	Join               []string // gossip ports of the others; empty = it founds the cluster
	Users              int      // that its store begins with, if it founds
}

// Sit takes a seat.
func (e *engine) Sit(s Seat, to *Engine) error {
	c := engineConfig(s.Dir)
	for i, listen := range []*string{&c.HTTP.Listen, &c.GRPC.Listen, &c.Cluster.Peers, &c.Cluster.Actors, &c.Cluster.Gossip} {
		*listen = s.address(i)
	}
	c.Cluster.Dir, c.Cluster.Name, c.Cluster.Join = s.Secrets, s.Name, strings.Join(s.Join, ",")
	if s.Users > 0 { // what is sealed needs its keys before the store is there
		if err := errors.Join(os.MkdirAll(s.Secrets, 0o700), seal.Generate(filepath.Join(s.Secrets, "seal.key"))); err != nil {
			return err
		}
	}
	return e.serve(c, s.Users, to)
}

func (s Seat) address(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port+port))
}

const gossipPort = 4

// trio is three nodes of one cluster, each a process.
type trio struct {
	*runner
	dir   string
	key   string // of the operator
	seats []Seat
	nodes []*node // nil = does not run; without a client
}

const nodesOfTrio = 3

// layTrio has the seats of a cluster whose founder begins with so many users, and
// starts the founder alone.
func (r *runner) layTrio(ctx context.Context, users int) (_ *trio, err error) {
	t := &trio{runner: r, seats: make([]Seat, nodesOfTrio), nodes: make([]*node, nodesOfTrio)}
	if t.dir, err = os.MkdirTemp("", "rouse-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.stop())
		}
	}()
	for i := range t.seats {
		s := &t.seats[i]
		s.Name = "n" + strconv.Itoa(i+1)
		s.Dir, s.Secrets = filepath.Join(t.dir, s.Name), filepath.Join(t.dir, "secrets")
		if s.Port, err = fleet.FreePorts(); err != nil {
			return t, err
		}
	}
	founder := t.seats[0]
	founder.Users = users
	if err := t.start(ctx, 0, founder); err != nil {
		return t, err
	}
	for i := range t.seats {
		for j := range t.seats {
			if i != j {
				t.seats[i].Join = append(t.seats[i].Join, t.seats[j].address(gossipPort))
			}
		}
	}
	key, err := os.ReadFile(filepath.Join(founder.Dir, app.OperatorKeyFile))
	if err != nil {
		return t, err
	}
	t.key = strings.TrimSpace(string(key))
	t.nodes[0].Key = t.key
	_, err = rousev1.NewAdminServiceClient(t.nodes[0].conn).CreateApp(t.nodes[0].operator(ctx), &rousev1.CreateAppRequest{AppId: appID})
	return t, err
}

// startTrio is layTrio with all three running and every replica in its place.
func (r *runner) startTrio(ctx context.Context, users int) (*trio, error) {
	t, err := r.layTrio(ctx, users)
	if err != nil {
		return nil, err
	}
	for i := 1; i < nodesOfTrio; i++ {
		if err := t.start(ctx, i, t.seats[i]); err != nil {
			return nil, errors.Join(err, t.stop())
		}
	}
	if _, err := t.spread(ctx); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	return t, nil
}

// start runs the node of a seat until it serves.
func (t *trio) start(ctx context.Context, i int, s Seat) (err error) {
	c, err := t.spawn(ctx, "engine")
	if err != nil {
		return err
	}
	n := &node{child: c, session: 1}
	if err := n.call("Sit", s, &n.Engine); err != nil {
		return errors.Join(err, n.stop())
	}
	n.Key = t.key
	if n.conn, err = grpc.NewClient(n.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return errors.Join(err, n.stop())
	}
	t.nodes[i] = n
	return nil
}

// restart starts the node of a seat again.
func (t *trio) restart(ctx context.Context, i int) error { return t.start(ctx, i, t.seats[i]) }

// bury takes away what is left of a node that was killed.
func (t *trio) bury(i int) error {
	n := t.nodes[i]
	t.nodes[i] = nil
	n.child.bury()
	return n.conn.Close()
}

// leave ends a node in order.
func (t *trio) leave(i int) error {
	n := t.nodes[i]
	t.nodes[i] = nil
	return n.stop()
}

func (t *trio) stop() error {
	var errs []error
	for i, n := range t.nodes {
		if n != nil {
			errs = append(errs, t.leave(i))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(t.dir))...)
}

// load is the cluster as an IM node sees it: as one engine.
func (t *trio) load(ctx context.Context, name string) (*node, error) {
	n := &node{child: t.nodes[0].child, Engine: t.nodes[0].Engine, conn: t.nodes[0].conn, session: 1}
	n.Key = t.key
	o := client.Options{Target: n.GRPC, APIKey: t.key, App: appID, Node: name}
	for _, other := range t.nodes[1:] {
		if other != nil {
			n.others = append(n.others, other.child)
			o.Others = append(o.Others, other.GRPC)
		}
	}
	var err error
	n.client, err = client.Dial(ctx, o)
	return n, err
}

// hangUp ends the IM node, not the cluster.
func (n *node) hangUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	return n.client.Close(ctx)
}

const (
	// wholeEvery is how often nodes are asked how they are, of all groups: what is
	// measured meanwhile pays for it.
	wholeEvery = 500 * time.Millisecond
	wholeMost  = 10 * time.Minute
)

// whole waits until so many nodes are alive, all of them hold every group, and no
// replica is behind; and answers how the cluster is.
func (t *trio) whole(ctx context.Context, nodes int) (*rousev1.GetClusterStatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, wholeMost)
	defer cancel()
	tick := time.NewTicker(wholeEvery)
	defer tick.Stop()
	for {
		status, err := t.status(ctx)
		if err == nil && isWhole(status, nodes) {
			return status, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("the cluster is not whole: %w; its totals are %v", errors.Join(context.Cause(ctx), err), status.GetTotals())
		}
	}
}

// spread waits until the cluster is whole and each of three nodes leads about a
// third of the groups.
func (t *trio) spread(ctx context.Context) (*rousev1.GetClusterStatusResponse, error) {
	const most = time.Minute
	start := time.Now()
	for {
		status, err := t.whole(ctx, nodesOfTrio)
		if err != nil || t.isEven(status) {
			return status, err
		}
		if time.Since(start) > most {
			return nil, fmt.Errorf("leaderships are not spread evenly within %v", most)
		}
		if err := t.rebalance(ctx); err != nil {
			return nil, err
		}
		rest(ctx, time.Second)
	}
}

// isEven tells whether the nodes lead the same number of groups, give or take two.
func (t *trio) isEven(s *rousev1.GetClusterStatusResponse) bool {
	for _, seat := range t.seats {
		if even := len(s.GetGroups()) / len(t.seats); leads(s, seat.Name) < even-2 {
			return false
		}
	}
	return true
}

// rebalance has leaderships move at once. An order may be repeated.
func (t *trio) rebalance(ctx context.Context) error {
	_, err := anyNode(ctx, t, func(ctx context.Context, c rousev1.ClusterServiceClient) (*rousev1.RebalanceResponse, error) {
		return c.Rebalance(ctx, &rousev1.RebalanceRequest{})
	})
	return err
}

// status asks how the cluster is.
func (t *trio) status(ctx context.Context) (*rousev1.GetClusterStatusResponse, error) {
	return anyNode(ctx, t, func(ctx context.Context, c rousev1.ClusterServiceClient) (*rousev1.GetClusterStatusResponse, error) {
		return c.GetClusterStatus(ctx, &rousev1.GetClusterStatusRequest{})
	})
}

// anyNode asks those that run, one after the other, until one answers.
func anyNode[R any](ctx context.Context, t *trio, ask func(context.Context, rousev1.ClusterServiceClient) (R, error)) (none R, err error) {
	err = errors.New("no node runs")
	for i, n := range t.nodes {
		if n == nil {
			continue
		}
		asking, cancel := context.WithTimeout(n.operator(ctx), stopGrace/nodesOfTrio)
		answer, fault := ask(asking, rousev1.NewClusterServiceClient(n.conn))
		cancel()
		if fault == nil {
			return answer, nil
		}
		t.say("  %s gave no answer: %v", t.seats[i].Name, fault)
		err = fault
	}
	return none, err
}

// voters is how many replicas of a group have a vote in a cluster of so many.
func voters(nodes int) int {
	if nodes < nodesOfTrio {
		return 1
	}
	return nodesOfTrio
}

func isWhole(s *rousev1.GetClusterStatusResponse, nodes int) bool {
	t := s.GetTotals()
	if int(t.GetAlive()) != nodes || t.GetLeaderless() > 0 || t.GetMoving() > 0 || len(s.GetGroups()) != int(t.GetGroups()) {
		return false
	}
	for _, g := range s.GetGroups() {
		if len(g.GetVoterIds()) != voters(nodes) || len(g.GetVoterIds())+len(g.GetLearnerIds()) != nodes || len(g.GetOutgoingIds()) > 0 {
			return false
		}
		for _, r := range g.GetReplicas() {
			if r.GetSnapshot() || r.GetEntries() > lagMost {
				return false
			}
		}
	}
	return true
}

// lagMost is what a replica may lack that is not behind: under load it always
// lacks the last few entries.
const lagMost = 1000

// leads is the number of shards that the node of a seat leads.
func leads(s *rousev1.GetClusterStatusResponse, name string) int {
	for _, n := range s.GetNodes() {
		if n.GetName() == name {
			return int(n.GetReport().GetLeads())
		}
	}
	return 0
}
