package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
)

// node is an engine that runs, seen from an IM node.
type node struct {
	*child
	Engine
	others  []*child // nodes of the same cluster
	conn    *grpc.ClientConn
	client  *client.Client
	session uint64 // rises with each round of presence events
	// repeated counts events that the client had to send again.
	repeated atomic.Int64
}

// startNode starts an engine whose store holds so many users, with one app.
func (r *runner) startNode(ctx context.Context, users int) (_ *node, err error) {
	c, err := r.spawn(ctx, "engine")
	if err != nil {
		return nil, err
	}
	n := &node{child: c, session: 1}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.stop())
		}
	}()
	if err := n.call("Start", users, &n.Engine); err != nil {
		return nil, err
	}
	if n.conn, err = grpc.NewClient(n.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return nil, err
	}
	admin := rousev1.NewAdminServiceClient(n.conn)
	if _, err := admin.CreateApp(n.operator(ctx), &rousev1.CreateAppRequest{AppId: appID}); err != nil {
		return nil, err
	}
	n.client, err = client.Dial(ctx, client.Options{Target: n.GRPC, APIKey: n.Key, App: appID, Node: "bench"})
	return n, err
}

func (n *node) stop() error {
	var errs []error
	if n.client != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		errs = append(errs, n.client.Close(ctx))
	}
	if n.conn != nil {
		errs = append(errs, n.conn.Close())
	}
	return errors.Join(append(errs, n.child.stop())...)
}

func (n *node) operator(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+n.Key)
}

// caller is the operator acting for the app.
func (n *node) caller(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(n.operator(ctx), "rouse-app", appID)
}

// credential makes or replaces the way to the fake; streams 0 = the default.
func (n *node) credential(ctx context.Context, v Vendor, streams int) error {
	return n.put(ctx, &rousev1.Credential{
		Name: notifier, Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{
			BundleId: bundle, AuthKeyPem: string(v.Key), KeyId: keyID, TeamId: team, Endpoint: v.URL, CaPem: string(v.CA),
			StreamsPerConnection: uint32(streams),
		}},
	})
}

// put makes or replaces a credential.
func (n *node) put(ctx context.Context, c *rousev1.Credential) error {
	_, err := rousev1.NewAdminServiceClient(n.conn).PutCredential(n.caller(ctx), &rousev1.PutCredentialRequest{AppId: appID, Credential: c})
	return err
}

const bindCallers = 64

// bind gives users 0 to users-1 one phone each, with a token: user i is reached
// by the credential i modulo their number.
func (n *node) bind(ctx context.Context, users int, credentials ...string) error {
	ctx, cancel := context.WithCancelCause(n.caller(ctx))
	defer cancel(nil)
	devices := rousev1.NewDeviceServiceClient(n.conn)
	var next atomic.Int64
	var work sync.WaitGroup
	for range bindCallers {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < users && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				to := credentials[i%len(credentials)]
				_, err := devices.BindToken(ctx, &rousev1.BindTokenRequest{
					UserId: userID(i), DeviceId: deviceID(i, 0), Notifier: to, Token: tokenOf(to, i),
					Device: &rousev1.DeviceInfo{Platform: rousev1.Platform_PLATFORM_IOS, Locale: "en"},
				})
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	work.Wait()
	return context.Cause(ctx)
}

// send brings events to the engine as fast as it takes them, and returns when
// all are on disk. One that is not accepted is an error.
func (n *node) send(ctx context.Context, events int, event func(i int) *rousev1.Event) error {
	var refused atomic.Pointer[rousev1.ItemResult]
	var open sync.WaitGroup
	open.Add(events)
	for i := range events {
		err := n.client.Send(ctx, event(i), func(res *rousev1.ItemResult) {
			switch res.GetStatus() {
			case rousev1.ItemStatus_ITEM_STATUS_ACCEPTED:
			case rousev1.ItemStatus_ITEM_STATUS_DUPLICATE, rousev1.ItemStatus_ITEM_STATUS_STALE:
				if len(n.others) > 0 { // the client repeats what another node was late to answer
					n.repeated.Add(1)
					break
				}
				refused.Store(res)
			default:
				refused.Store(res)
			}
			open.Done()
		})
		if err != nil {
			return err
		}
	}
	open.Wait()
	if r := refused.Load(); r != nil {
		return fmt.Errorf("an event was answered %v: %s", r.GetStatus(), r.GetError().GetMessage())
	}
	return nil
}

// took is the cost of one round.
type took struct {
	rate float64       // per second
	cpu  time.Duration // of the engine's processes, for one
}

// presence sends one round of events of as many users, every step-th on disk.
// Each connects or disconnects a device with a new session: the record changes.
func (n *node) presence(ctx context.Context, events, users, step, first int) (took, error) {
	states := [2]rousev1.SessionState{rousev1.SessionState_SESSION_STATE_CONNECTED, rousev1.SessionState_SESSION_STATE_DISCONNECTED}
	return n.measure(events, func() error {
		base := n.session
		n.session += uint64(events/users) + 1
		return n.send(ctx, events, func(i int) *rousev1.Event {
			u, session := first+i%users*step, base+uint64(i/users)+1
			return &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
				UserId: userID(u), DeviceId: deviceID(u, 0), Session: session, State: states[session%2],
			}}}
		})
	})
}

// measure asks for the CPU time before and after.
func (n *node) measure(count int, work func() error) (took, error) {
	before, err := n.sum("CPU")
	if err != nil {
		return took{}, err
	}
	start := time.Now()
	if err := work(); err != nil {
		return took{}, err
	}
	elapsed := time.Since(start)
	after, err := n.sum("Settled")
	return took{rate: float64(count) / elapsed.Seconds(), cpu: (after - before) / time.Duration(count)}, err
}

// sum asks every node for a CPU time.
func (n *node) sum(method string) (all time.Duration, err error) {
	for _, c := range append([]*child{n.child}, n.others...) {
		var d time.Duration
		if err := c.call(method, Nothing{}, &d); err != nil {
			return 0, err
		}
		all += d
	}
	return all, nil
}
