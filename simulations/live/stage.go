package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
	"github.com/rouse-im/rouse/internal/demo"
	"github.com/rouse-im/rouse/internal/fleet"
	"github.com/rouse-im/rouse/internal/rpc"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

const appID = "sim"

// startTimeout is how long a node may take until it serves.
const startTimeout = time.Minute

// stage is what a run happens on: servers, vendors, an app.
type stage struct {
	o      Options
	dir    string
	fleet  *fleet.Fleet
	spaces *fleet.Spaces // nil on loopback
	bridge *fleet.Bridge
	fakes  *demo.Vendors
	admin  []*rpc.Services // by node, with an admin key of the app
	other  *rpc.Services   // with an admin key of another app
	intake string          // key of the IM nodes
	// missing is what was asked for and cannot be here.
	missing []string

	mu  sync.Mutex
	ims map[string]*client.Client
}

func openStage(ctx context.Context, o Options, dir string, rec *recorder) (_ *stage, err error) {
	s := &stage{o: o, dir: dir, ims: map[string]*client.Client{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.fakes, err = demo.StartVendors(demo.VendorsOptions{Pushed: rec.pushed}); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	if err := s.separate(); err != nil {
		return nil, err
	}
	s.fleet, err = fleet.New(fleet.Options{
		Dir: dir, Nodes: o.Nodes, Server: o.Server, Log: io.Discard, Spaces: s.spaces,
		Env: []string{
			"ROUSE_LEASE_TTL=" + LeaseTTL.String(), "ROUSE_LIMITS_CALLS_PER_SECOND=1000000", "ROUSE_LIMITS_BURST=1000000",
			"ROUSE_LOG_LEVEL=info",
		},
	})
	if err != nil {
		return nil, err
	}
	if s.bridge, err = s.fleet.Bridge(s.fakes.Addresses()...); err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.fleet.StartAll(starting); err != nil {
		return nil, err
	}
	return s, s.furnish(starting)
}

// separate makes the servers' networks, if they are asked for and can be made.
func (s *stage) separate() (err error) {
	if !s.o.Spaces {
		return nil
	}
	s.spaces, err = fleet.NewSpaces(s.o.Nodes)
	if errors.Is(err, fleet.ErrNoSpaces) {
		s.missing = append(s.missing, fmt.Sprintf("networks of their own for the servers: %v", err))
		return nil
	}
	return err
}

// furnish makes the app, its credentials and its keys.
func (s *stage) furnish(ctx context.Context) error {
	key, err := s.fleet.OperatorKey()
	if err != nil {
		return err
	}
	operator, err := rpc.Open(rpc.Options{URL: s.url(0), Key: key})
	if err != nil {
		return err
	}
	defer operator.Close()
	for _, id := range []string{appID, appID + "-other"} {
		if _, err := operator.Admin.CreateApp(ctx, &rousev1.CreateAppRequest{AppId: id, DisplayName: "Simulation", Settings: s.o.Settings}); err != nil {
			return fmt.Errorf("live: creating an app: %w", err)
		}
	}
	keys := map[string]string{}
	for _, k := range []struct {
		name, app string
		role      rousev1.Role
	}{{"admin", appID, rousev1.Role_ROLE_ADMIN}, {"intake", appID, rousev1.Role_ROLE_INTAKE}, {"other", appID + "-other", rousev1.Role_ROLE_ADMIN}} {
		r, err := operator.Admin.CreateApiKey(ctx, &rousev1.CreateApiKeyRequest{AppId: k.app, Role: k.role})
		if err != nil {
			return fmt.Errorf("live: creating a key: %w", err)
		}
		keys[k.name] = r.GetSecret()
	}
	for _, c := range s.fakes.Credentials() {
		if s.o.Quota > 0 {
			c.DailyQuota = &rousev1.DailyQuota{Im: s.o.Quota}
		}
		if _, err := operator.Admin.PutCredential(ctx, &rousev1.PutCredentialRequest{AppId: appID, Credential: c}); err != nil {
			return fmt.Errorf("live: adding the credential %s: %w", c.GetName(), err)
		}
	}
	s.intake = keys["intake"]
	for i := range s.fleet.Nodes() {
		admin, err := rpc.Open(rpc.Options{URL: s.url(i), Key: keys["admin"]})
		if err != nil {
			return err
		}
		s.admin = append(s.admin, admin)
	}
	s.other, err = rpc.Open(rpc.Options{URL: s.url(0), Key: keys["other"]})
	return err
}

func (s *stage) url(node int) string { return "http://" + s.fleet.Node(node).HTTP() }

// up starts an IM node, or starts it again.
func (s *stage) up(ctx context.Context, name string, incarnation uint64) error {
	s.down(name)
	var all []string
	for _, n := range s.fleet.Nodes() {
		all = append(all, n.GRPC())
	}
	c, err := client.Dial(ctx, client.Options{Target: all[0], Others: all[1:], APIKey: s.intake, Node: name, Incarnation: incarnation, BufferBytes: 64 << 20})
	if err != nil {
		return fmt.Errorf("live: starting the IM node %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ims[name] = c
	return nil
}

// down ends an IM node without a word.
func (s *stage) down(name string) {
	s.mu.Lock()
	c := s.ims[name]
	delete(s.ims, name)
	s.mu.Unlock()
	if c != nil {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.Close(now) // what is unanswered is told to its senders
	}
}

func (s *stage) im(name string) *client.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ims[name]
}

// stop ends the servers in order and notes how long each took.
func (s *stage) stop(ctx context.Context, rec *recorder) error {
	for name := range s.names() {
		s.down(name)
	}
	for _, n := range s.fleet.Nodes() {
		if !n.Running() {
			continue
		}
		stop := checker.Stop{Node: n.Name, Asked: rec.now(), Deadline: simulations.At(stopDeadline)}
		waiting, cancel := context.WithTimeout(ctx, 2*stopDeadline)
		err := n.Stop(waiting)
		cancel()
		if err == nil {
			stop.Done = rec.now()
		} else {
			s.o.Logger.Warn("a node did not stop", "error", err)
		}
		rec.add(checker.Entry{Stop: &stop})
	}
	return ctx.Err()
}

// stopDeadline is that of a server's orderly end (shutdown.timeout), and a little.
const stopDeadline = 35 * time.Second

func (s *stage) names() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]bool{}
	for name := range s.ims {
		all[name] = true
	}
	return all
}

func (s *stage) close() error {
	for name := range s.names() {
		s.down(name)
	}
	var err error
	if s.fleet != nil {
		err = s.fleet.Close()
	}
	if s.bridge != nil {
		err = errors.Join(err, s.bridge.Close())
	}
	if s.spaces != nil {
		err = errors.Join(err, s.spaces.Close())
	}
	if s.fakes != nil {
		s.fakes.Close()
	}
	for _, a := range s.admin {
		a.Close()
	}
	if s.other != nil {
		s.other.Close()
	}
	return err
}
