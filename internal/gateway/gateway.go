// Package gateway turns calls on gRPC and HTTP into messages to the actors of
// users, and their replies into answers. It holds no state of its own. The app
// of a call comes from its API key.
//
// Both ports serve the same implementations: grpc-go for the streams of IM
// nodes, Connect (JSON by plain POST) for people and scripts.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/internal/lease"
)

// Options of a Gateway. What is not marked as optional must be given.
type Options struct {
	// GRPC and HTTP are the ports; the Gateway closes them.
	GRPC, HTTP net.Listener
	// TLS for both ports; nil on loopback only.
	TLS     *tls.Config
	Catalog *catalog.Catalog
	Leases  *lease.Table
	Router  actors.Router
	// Writable tells whether the disk has room for more, where it needs any.
	Writable func(now time.Time) error
	// CheckToken tells why a token cannot be one of the credential's vendor; its
	// error does not show the token.
	CheckToken func(c *rousev1.Credential, token string) error
	// BeforePush asks an app's hook about a message; it ends in bounded time.
	BeforePush func(ctx context.Context, app string, w *rousev1.Webhooks, m *rousev1.MessageEvent) (*rousev1.BeforePushAnswer, error)
	// CheckWebhooks tells why webhooks cannot be used.
	CheckWebhooks func(*rousev1.Webhooks) error
	// WebhooksQueued counts the events that wait for an app's webhook on all nodes
	// but those that are missing.
	WebhooksQueued func(ctx context.Context, app string) (n uint64, missing []string, err error)
	// ValidateCredential and TestCredential ask the credential's vendor; both end
	// within 15 s. Their answers and errors hold no secret and no token.
	ValidateCredential func(context.Context, *rousev1.Credential) (*rousev1.ValidateCredentialResponse, error)
	TestCredential     func(context.Context, *rousev1.Credential, *rousev1.TestCredentialRequest) (*rousev1.TestCredentialResponse, error)
	// FindTraces finds whom to ask about the message, or the push, of a request;
	// it ends with ctx.
	FindTraces func(ctx context.Context, app string, r *rousev1.TraceRequest, now time.Time) ([]Recipient, error)
	// Forward executes a call that changes the catalogue on the node that leads the
	// meta group, with Execute of its Gateway, and returns the encoded response when
	// this node shows the change; nil = this node always leads.
	Forward func(ctx context.Context, call *actorv1.AdminCall) ([]byte, error)
	// Cluster shows and orders the cluster; nil = it is not known yet.
	Cluster *Cluster
	// Engines are the gRPC addresses of the other nodes of the cluster; nil = there
	// are none.
	Engines func() []string
	// Backup writes an archive of all that the cluster holds; nil = it does not.
	Backup func(ctx context.Context, w io.Writer) error
	// CredentialStatus tells how a credential of the app is on all nodes but those
	// that are missing.
	CredentialStatus func(context.Context, *catalog.App, *rousev1.Credential) (_ *rousev1.CredentialStatus, missing []string)
	// Receipts takes what vendors report, at ReceiptPattern of the HTTP port; nil = nothing.
	Receipts       http.Handler
	ReceiptPattern string
	// Ready tells why the node cannot serve yet, or no longer.
	Ready func() error
	// Registry takes the metrics of the gateway, and is what /metrics shows.
	Registry *prometheus.Registry
	Logger   *slog.Logger

	// AnswerTime is how long a batch, or a question about a user, waits for users;
	// 0 = 10 s. Routers give up after 5 s; what a shard here has taken in has no other
	// bound.
	AnswerTime time.Duration
	// RequestBytes bounds one message; 0 = 4 MiB.
	RequestBytes int
	// CallsPerSecond and Burst of one API key; a batch counts as a call.
	// 0 = 5000 and 10000.
	CallsPerSecond, Burst int
	// Streams is how many calls one connection may have open; 0 = 1024.
	Streams int
}

func (o *Options) setDefaults() error {
	for name, missing := range map[string]bool{
		"GRPC": o.GRPC == nil, "HTTP": o.HTTP == nil, "Catalog": o.Catalog == nil, "Leases": o.Leases == nil, "Router": o.Router == nil,
		"Writable": o.Writable == nil, "CheckToken": o.CheckToken == nil,
		"BeforePush": o.BeforePush == nil, "CheckWebhooks": o.CheckWebhooks == nil, "WebhooksQueued": o.WebhooksQueued == nil,
		"ValidateCredential": o.ValidateCredential == nil, "TestCredential": o.TestCredential == nil, "CredentialStatus": o.CredentialStatus == nil,
		"FindTraces": o.FindTraces == nil,
		"Ready":      o.Ready == nil, "Registry": o.Registry == nil, "Logger": o.Logger == nil,
	} {
		if missing {
			return fmt.Errorf("gateway: option %s is missing", name)
		}
	}
	if o.AnswerTime == 0 {
		o.AnswerTime = 10 * time.Second
	}
	for _, d := range []struct {
		option  *int
		initial int
	}{{&o.RequestBytes, 4 << 20}, {&o.CallsPerSecond, 5000}, {&o.Burst, 10000}, {&o.Streams, 1024}} {
		if *d.option == 0 {
			*d.option = d.initial
		}
	}
	return nil
}

// Gateway serves both ports.
type Gateway struct {
	Options
	validator protovalidate.Validator
	inputs    map[string]protoreflect.MessageType // by method
	metrics   *metrics
	rates     *rates
	tests     *rates        // of TestCredential
	probes    chan struct{} // holds an entry for each call to a vendor under way
	searches  chan struct{} // holds an entry for each FindTraces under way
	archives  chan struct{} // holds an entry for a backup under way
	grpc      *grpc.Server
	http      *http.Server

	// draining is closed when streams must end.
	draining chan struct{}
	drain    sync.Once

	// Refusals that are sent often; they never change.
	diskFull, tooWide, deadline *rousev1.Error
}

// New builds a Gateway that does not serve yet.
func New(o Options) (*Gateway, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	g := &Gateway{
		Options: o, draining: make(chan struct{}), probes: make(chan struct{}, maxProbes), searches: make(chan struct{}, maxSearches), archives: make(chan struct{}, 1),
		rates:    newRates(o.CallsPerSecond, o.Burst, "more than %d calls or batches per second with one API key; send fewer and larger batches"),
		tests:    newRates(testsPerSecond, testBurst, "more than %d test pushes per second with one API key; wait a few seconds"),
		diskFull: complaint(rousev1.ErrorCode_ERROR_CODE_DISK_FULL, "the server's disk is nearly full; free space on it and send this again"),
		tooWide:  complaint(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, "the batch has more than %d recipients in all; send the rest in another batch", maxDeliveries),
		deadline: complaint(rousev1.ErrorCode_ERROR_CODE_DEADLINE, "no answer in time; whether it took effect is unknown, sending it again is safe"),
	}
	var err error
	if g.validator, err = newValidator(); err != nil {
		return nil, fmt.Errorf("gateway: compiling the rules of requests: %w", err)
	}
	if g.metrics, err = newMetrics(o.Registry); err != nil {
		return nil, fmt.Errorf("gateway: registering metrics: %w", err)
	}
	if g.inputs, err = inputTypes(); err != nil {
		return nil, fmt.Errorf("gateway: finding the types of requests: %w", err)
	}
	g.grpc = g.newGRPC()
	g.http = g.newHTTP()
	return g, nil
}

// Serve serves both ports until Stop is called (nil; Stop tells when calls have
// ended), a port fails, or ctx ends, which cuts off the calls under way.
func (g *Gateway) Serve(ctx context.Context) error {
	ended := make(chan error, 2)
	go func() { ended <- wrap("gRPC", g.grpc.Serve(g.GRPC)) }()
	go func() { ended <- wrap("HTTP", g.serveHTTP()) }()
	stop := context.AfterFunc(ctx, g.cutOff)
	defer stop()
	first := <-ended
	if first != nil {
		g.cutOff()
	}
	return errors.Join(first, <-ended, context.Cause(ctx))
}

func (g *Gateway) serveHTTP() error {
	if g.TLS != nil {
		return g.http.ServeTLS(g.HTTP, "", "")
	}
	return g.http.Serve(g.HTTP)
}

func wrap(port string, err error) error {
	if err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return fmt.Errorf("gateway: serving %s: %w", port, err)
}

// Stop takes no new calls, lets calls and batches under way end, and closes the
// ports. When ctx ends first it cuts them off and tells so.
func (g *Gateway) Stop(ctx context.Context) error {
	g.drain.Do(func() { close(g.draining) })
	done := make(chan error, 1)
	go func() {
		g.grpc.GracefulStop()
		done <- g.http.Shutdown(ctx)
	}()
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
	case <-ctx.Done():
	}
	g.cutOff()
	return fmt.Errorf("gateway: calls under way were cut off: %w", context.Cause(ctx))
}

func (g *Gateway) cutOff() {
	g.drain.Do(func() { close(g.draining) })
	g.grpc.Stop()
	g.http.Close() //nolint:errcheck // nothing is left to be done about it
}
