package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// ErrClosed is returned by Send after Close.
var ErrClosed = errors.New("client: closed")

// Client sends events over one stream, which it opens again when it is lost, to
// another node of the cluster if there is one.
type Client struct {
	opts Options
	// engines is the connecting goroutine's own.
	engines *engines
	room    *semaphore.Weighted // bytes left in the buffer
	wake    chan struct{}       // the sender has something to look at; capacity 1
	stop    context.CancelFunc
	ended   chan struct{}   // closed once the goroutines are gone
	open    context.Context // ends when Close is called
	close   context.CancelFunc

	mu      sync.Mutex // guards what follows; no I/O and no callback while held
	book    *book
	closing bool               // nothing more is added
	empty   chan struct{}      // closed when closing and nothing is unanswered
	cut     context.CancelFunc // ends the present connection, nil without one
	fault   string             // why the last connection or attempt ended
}

// Dial connects and waits until the engine has welcomed this node, or ctx ends.
// Faults that repeating cannot heal (a wrong key, say) end it at once. Once
// connected, the client comes back by itself until Close.
func Dial(ctx context.Context, opts Options) (*Client, error) {
	if err := opts.prepare(time.Now()); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	open, cancel := context.WithCancel(run)
	c := &Client{
		opts:    opts,
		engines: newEngines(append([]string{opts.Target}, opts.Others...), rand.Float64()),
		room:    semaphore.NewWeighted(opts.BufferBytes),
		wake:    make(chan struct{}, 1),
		stop:    stop,
		ended:   make(chan struct{}),
		open:    open,
		close:   cancel,
		book:    newBook(opts.Deadline, rand.Float64),
		empty:   make(chan struct{}),
	}
	first := make(chan error, 1)
	var both sync.WaitGroup
	both.Go(func() { c.connect(run, first) })
	both.Go(func() { c.watch(run) })
	go func() { both.Wait(); close(c.ended) }()

	select {
	case err := <-first:
		if err == nil {
			return c, nil
		}
		stop()
		<-c.ended
		return nil, err
	case <-ctx.Done():
		stop()
		<-c.ended
		return nil, fmt.Errorf("client: no welcome from %s: %w%s", opts.Target, context.Cause(ctx), c.lastFault("; last fault: "))
	}
}

// Send hands an event over and returns; it waits while the buffer is full. The
// event must not be changed until done is called: exactly once, with the
// engine's verdict, or with ERROR_CODE_DEADLINE when none came in time. done
// runs on a goroutine of the client: it must not block, nor call Send. It may
// be nil.
//
// An error means that the event was not taken and done is never called: ctx
// ended, the client is closed, or the event is empty or larger than 512 KiB.
func (c *Client) Send(ctx context.Context, ev *rousev1.Event, done func(*rousev1.ItemResult)) error {
	if done == nil {
		done = func(*rousev1.ItemResult) {}
	}
	ev = named(ev)
	encoded := proto.Size(ev)
	if encoded == 0 || encoded > maxEventBytes {
		return fmt.Errorf("client: event of %d bytes: want 1 to %d", encoded, maxEventBytes)
	}
	size := int64(encoded + eventOverhead)
	if err := c.reserve(ctx, size); err != nil {
		return err
	}
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		c.room.Release(size)
		return ErrClosed
	}
	news := c.book.add(ev, size, done, time.Now())
	c.mu.Unlock()
	if news {
		c.poke()
	}
	return nil
}

// SendWait is Send and the wait for the verdict. When ctx ends first the event
// stays under way, and its effect is unknown.
func (c *Client) SendWait(ctx context.Context, ev *rousev1.Event) (*rousev1.ItemResult, error) {
	verdict := make(chan *rousev1.ItemResult, 1)
	if err := c.Send(ctx, ev, func(r *rousev1.ItemResult) { verdict <- r }); err != nil {
		return nil, err
	}
	select {
	case r := <-verdict:
		return r, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("client: no verdict yet: %w", context.Cause(ctx))
	}
}

// Close takes no more events, waits until all are answered or ctx ends, and
// disconnects. The error tells how many were given up; their senders are told
// as well. Calling it again waits for the same end.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closing = true
	c.markEmpty()
	c.mu.Unlock()
	c.close()
	select {
	case <-c.empty:
	case <-ctx.Done():
	}
	c.stop()
	<-c.ended

	c.mu.Lock()
	answers := c.book.expire(time.Now().Add(2*c.opts.Deadline), "the client was closed")
	c.markEmpty()
	c.mu.Unlock()
	c.tell(answers)
	if len(answers) > 0 {
		return fmt.Errorf("client: closed with %d events unanswered: %w", len(answers), context.Cause(ctx))
	}
	return nil
}

// reserve waits for room in the buffer.
func (c *Client) reserve(ctx context.Context, size int64) error {
	if c.room.TryAcquire(size) {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.open, func() { cancel(ErrClosed) })()
	err := c.room.Acquire(ctx, size)
	switch {
	case err == nil:
		return nil
	case c.open.Err() != nil:
		return ErrClosed
	default:
		return fmt.Errorf("client: the buffer is full: %w", context.Cause(ctx))
	}
}

// poke makes the sender look at the book.
func (c *Client) poke() {
	select {
	case c.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// tell frees the room of answered events and calls their senders.
func (c *Client) tell(answers []answer) {
	for _, a := range answers {
		c.room.Release(a.size)
		a.done(a.result)
	}
}

// markEmpty lets Close go on once nothing is unanswered. The lock is held.
func (c *Client) markEmpty() {
	if c.closing && c.book.count == 0 {
		select {
		case <-c.empty:
		default:
			close(c.empty)
		}
	}
}

// watch gives up late events and cuts a connection that has fallen silent,
// each at most a second late.
func (c *Client) watch(ctx context.Context) {
	tick := time.NewTicker(max(10*time.Millisecond, min(c.opts.Deadline, c.opts.AnswerTimeout, 10*time.Second)/10))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			c.mu.Lock()
			answers := c.book.expire(now, c.fault)
			if c.cut != nil && c.book.silent(now, c.opts.AnswerTimeout) {
				c.fault = fmt.Sprintf("no answer for %v", c.opts.AnswerTimeout)
				c.cut()
			}
			c.markEmpty()
			c.mu.Unlock()
			c.tell(answers)
		}
	}
}

func (c *Client) lastFault(prefix string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault == "" {
		return ""
	}
	return prefix + c.fault
}
