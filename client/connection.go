package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	firstReconnect = 100 * time.Millisecond
	mostReconnect  = 5 * time.Second
	// welcomeTimeout bounds connecting, TLS and the hello; with others to go to,
	// AnswerTimeout does, and 1 s at least.
	welcomeTimeout = 10 * time.Second
	// settled is how long a connection must last to be taken for a good one.
	settled = 10 * time.Second
	// silence is after how long without traffic the peer is asked for a sign of
	// life; 10 s is the least that gRPC clients may ask for.
	silence       = 10 * time.Second
	silenceAnswer = 5 * time.Second

	defaultLease = 30 * time.Second
	leastLease   = 300 * time.Millisecond
	mostWindow   = 1024
)

type stream = grpc.BidiStreamingClient[rousev1.IngestRequest, rousev1.IngestResponse]

// terms are what the engine's welcome grants.
type terms struct {
	window int
	lease  time.Duration
}

// connect keeps a connection until ctx ends. first hears of the first welcome,
// or of a fault that repeating cannot heal before it.
func (c *Client) connect(ctx context.Context, first chan<- error) {
	for {
		began, target := time.Now(), c.engines.current()
		welcomed, err := c.converse(ctx, target, func() {
			if first != nil {
				first <- nil
				first = nil
			}
		})
		if ctx.Err() != nil {
			return
		}
		if first != nil && isFinal(err) {
			first <- fmt.Errorf("client: %s refuses: %w", target, err)
			return
		}
		if welcomed && time.Since(began) >= settled {
			c.engines.worked()
		}
		pause := c.engines.next(rand.Float64())
		c.opts.Logger.WarnContext(ctx, "disconnected from the engine", "target", target, "error", err, "retry_in", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// isFinal: the server understood and will say the same next time.
func isFinal(err error) bool {
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument, codes.Unimplemented, codes.FailedPrecondition:
		return true
	default:
		return false
	}
}

// converse runs one connection from hello to its end; the error is never nil.
func (c *Client) converse(ctx context.Context, target string, onWelcome func()) (welcomed bool, err error) {
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	defer func() { c.disconnected(err) }()

	conn, err := grpc.NewClient(c.address(target), c.dialOptions()...)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	most := welcomeTimeout
	if len(c.opts.Others) > 0 {
		most = min(most, max(time.Second, c.opts.AnswerTimeout)) // a frozen node welcomes nobody, others do
	}
	tooLate := time.AfterFunc(most, cut)
	defer tooLate.Stop()
	s, t, err := c.hello(ctx, conn)
	if !tooLate.Stop() && err != nil {
		return false, fmt.Errorf("no welcome in %v: %w", most, err)
	}
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	c.cut = cut
	c.mu.Unlock()
	onWelcome()

	received := make(chan error, 1)
	go func() {
		received <- c.receive(s)
		cut() // a Send that waits for the peer must end too
	}()
	c.send(ctx, s, t)
	return true, <-received
}

// disconnected makes the book ready for the next connection.
func (c *Client) disconnected(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.book.lost()
	c.markEmpty()
	if c.cut == nil || status.Code(err) != codes.Canceled { // else watch has told why
		c.fault = err.Error()
	}
	c.cut = nil
}

func (c *Client) address(target string) string {
	if c.opts.dial != nil {
		return "passthrough:///" + target
	}
	return "dns:///" + target
}

func (c *Client) dialOptions() []grpc.DialOption {
	secure := insecure.NewCredentials()
	if c.opts.TLS != nil {
		secure = credentials.NewTLS(c.opts.TLS)
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: silence, Timeout: silenceAnswer}),
		grpc.WithDisableServiceConfig(),
	}
	if c.opts.dial != nil {
		opts = append(opts, grpc.WithContextDialer(c.opts.dial))
	}
	return opts
}

func (c *Client) hello(ctx context.Context, conn *grpc.ClientConn) (stream, terms, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.opts.APIKey)
	if c.opts.App != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "rouse-app", c.opts.App)
	}
	s, err := rousev1.NewIntakeServiceClient(conn).Ingest(ctx)
	if err != nil {
		return nil, terms{}, err
	}
	hello := &rousev1.Hello{Node: &rousev1.NodeRef{Name: c.opts.Node, Incarnation: c.opts.Incarnation}}
	// An error of Send is io.EOF; Recv knows the reason.
	_ = s.Send(&rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Hello{Hello: hello}})
	response, err := s.Recv()
	if err != nil {
		return nil, terms{}, err
	}
	w := response.GetWelcome()
	if w == nil {
		return nil, terms{}, errors.New("the first answer is not a welcome: is this a Rouse engine?")
	}
	t := terms{window: min(max(int(w.GetWindow()), 1), mostWindow), lease: w.GetLease().AsDuration()}
	if t.lease <= 0 {
		t.lease = defaultLease
	}
	t.lease = max(t.lease, leastLease)
	c.engines.learn(slices.DeleteFunc(w.GetEngines(), func(address string) bool { return c.opts.mayDial(address) != nil }))
	return s, t, nil
}

// send writes batches as they are due, and heartbeats between them, until the
// stream ends. Recv knows the reason.
func (c *Client) send(ctx context.Context, s stream, t terms) {
	beat := t.lease / 3
	timer := time.NewTimer(beat)
	defer timer.Stop()
	spoken := time.Now()
	for {
		now := time.Now()
		c.mu.Lock()
		b, at := c.book.next(now, t.window, c.opts.Linger)
		c.mu.Unlock()
		var request *rousev1.IngestRequest
		switch {
		case b != nil:
			request = b.request()
		case now.Sub(spoken) >= beat:
			request = &rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Heartbeat{Heartbeat: &rousev1.Heartbeat{}}}
		}
		if request != nil {
			if s.Send(request) != nil {
				return
			}
			spoken = now
			continue
		}
		pause := beat - now.Sub(spoken)
		if !at.IsZero() {
			pause = min(pause, at.Sub(now))
		}
		timer.Reset(pause)
		select {
		case <-c.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

func (b *batch) request() *rousev1.IngestRequest {
	events := make([]*rousev1.Event, len(b.items))
	for i, it := range b.items {
		events[i] = it.event
	}
	return &rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Batch{Batch: &rousev1.Batch{Seq: b.seq, Events: events}}}
}

// receive hands results to the book until the stream ends; the error is never nil.
func (c *Client) receive(s stream) error {
	for {
		response, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the engine ended the stream")
		}
		if err != nil {
			return err
		}
		result := response.GetResult()
		if result == nil {
			continue // a newer engine says more than we understand
		}
		c.mu.Lock()
		answers, err := c.book.settle(result, time.Now())
		c.markEmpty()
		c.mu.Unlock()
		c.poke()
		c.tell(answers)
		if err != nil {
			return fmt.Errorf("the engine broke the protocol: %w", err)
		}
	}
}
