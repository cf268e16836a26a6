package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
	"github.com/rouse-im/rouse/simulations"
)

const (
	// maxUnderWay bounds the events that are told and not answered; beyond them
	// the run waits, and falls behind its clock.
	maxUnderWay = 8192
	// callDeadline is how long calls that IM nodes do not make are repeated.
	callDeadline = 30 * time.Second
	// tellEvery is the pause between two words of progress.
	tellEvery = 200 * time.Millisecond
)

// player tells the steps of a scenario at their times. What one user's devices
// do waits for the answer to what they did before; messages to him do not.
type player struct {
	s      *stage
	rec    *recorder
	o      Options
	pace   pace
	faults *faults

	room   chan struct{}
	last   map[string]chan struct{} // by user: closed when his last event was answered
	kept   int                      // of last, when it was gone through
	work   sync.WaitGroup
	next   atomic.Uint64   // node for the next call
	behind time.Duration   // at most
	known  map[string]bool // IM nodes that were started once
}

func newPlayer(s *stage, rec *recorder, o Options) *player {
	p := &player{s: s, rec: rec, o: o, pace: pace{o.Speed}, room: make(chan struct{}, maxUnderWay), last: map[string]chan struct{}{}, known: map[string]bool{}}
	p.faults = newFaults(s, rec, p.pace)
	return p
}

// play returns when all is told and answered, and all faults have ended.
func (p *player) play(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := p.tell(ctx, cancel)
	p.work.Wait()
	return errors.Join(err, p.faults.end())
}

func (p *player) tell(ctx context.Context, fail context.CancelCauseFunc) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var told time.Time
	for step := range p.o.Steps {
		if step.At > simulations.At(p.o.Length) {
			break
		}
		wait := (p.pace.at(step.At) - p.rec.now()).Duration()
		if wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		} else {
			p.behind = max(p.behind, -wait)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if now := time.Now(); now.Sub(told) >= tellEvery {
			told = now
			p.o.Progress(Progress{Stage: "playing", At: step.At, Events: p.rec.told.Load(), Behind: max(0, -wait)})
			p.forget()
		}
		if step.Fault != nil {
			p.faults.begin(ctx, *step.Fault)
			continue
		}
		if err := p.deliver(ctx, step.Delivery, fail); err != nil {
			return err
		}
	}
	return nil
}

// manyUsers may be remembered of whom nothing is under way.
const manyUsers = 100_000

// forget users of whom nothing is under way, when there are twice as many as the
// last time: going through a million takes longer than telling their events.
func (p *player) forget() {
	if len(p.last) < max(manyUsers, 2*p.kept) {
		return
	}
	for u, c := range p.last {
		select {
		case <-c:
			delete(p.last, u)
		default:
		}
	}
	p.kept = len(p.last)
}

// deliver one event. IM nodes start and die at once, the rest is on its way
// when it returns.
func (p *player) deliver(ctx context.Context, d *simulations.Delivery, fail context.CancelCauseFunc) error {
	e := p.pace.event(d.Event)
	switch e.Kind {
	case simulations.IMUp:
		p.known[e.Node] = true
		p.rec.happened(e, true)
		sent := time.Now()
		if err := p.s.up(ctx, e.Node, e.Incarnation); err != nil {
			return err
		}
		p.rec.answered(d, e, sent, 0, false)
		return nil
	case simulations.IMDown:
		p.rec.happened(e, true)
		sent := time.Now()
		p.s.down(e.Node)
		p.rec.answered(d, e, sent, 0, false)
		return nil
	case simulations.Dead:
		p.rec.happened(e, true)
		return p.s.fakes.Kill(e.Vendor, e.Token)
	}
	if err := p.introduce(ctx, e); err != nil {
		return err
	}
	p.rec.happened(e, d.Copy == 0)
	var before, mine chan struct{}
	if e.User != "" {
		before, mine = p.last[e.User], make(chan struct{})
		p.last[e.User] = mine
	}
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.work.Go(func() {
		defer func() { <-p.room }()
		if mine != nil {
			defer close(mine)
		}
		if before != nil {
			<-before
		}
		if err := p.act(ctx, d, e); err != nil {
			fail(err)
		}
	})
	return nil
}

// introduce an IM node that a trace does not start.
func (p *player) introduce(ctx context.Context, e *simulations.Event) error {
	if e.Item(p.rec.start) == nil || p.known[e.Node] {
		return nil
	}
	e.Node = cmp.Or(e.Node, "im")
	p.known[e.Node] = true
	if p.s.im(e.Node) != nil {
		return nil
	}
	return p.s.up(ctx, e.Node, max(1, e.Incarnation))
}

func (p *player) act(ctx context.Context, d *simulations.Delivery, e *simulations.Event) error {
	sent := time.Now()
	if item := e.Item(p.rec.start); item != nil {
		c := p.s.im(e.Node)
		if c == nil {
			return nil // it died meanwhile: the event is lost
		}
		if !p.rec.keep && e.Kind == simulations.Message {
			p.rec.sends(e.Message, sent)
		}
		r, err := c.SendWait(ctx, item)
		if err != nil {
			p.rec.answered(d, e, sent, 0, false)
			return nil // its IM node died, or the run ends
		}
		known := r.GetError().GetCode() != rousev1.ErrorCode_ERROR_CODE_DEADLINE
		p.rec.answered(d, e, sent, r.GetStatus(), known)
		return nil
	}
	status := rousev1.ItemStatus_ITEM_STATUS_ACCEPTED
	err := p.call(ctx, e)
	var refused *connect.Error
	if errors.As(err, &refused) && rpc.Detail(err) != nil && !rpc.Detail(err).GetTemporary() {
		return fmt.Errorf("live: event %d (%s): %w", e.N, e.Kind, err)
	}
	p.rec.answered(d, e, sent, status, err == nil)
	return nil
}

// call asks one node after the other until one has done it. Calls may be
// repeated: they say what shall be.
func (p *player) call(ctx context.Context, e *simulations.Event) error {
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	const attempt = 3 * time.Second
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		for range p.s.admin {
			node := p.s.admin[p.next.Add(1)%uint64(len(p.s.admin))]
			trying, done := context.WithTimeout(ctx, attempt)
			err := order(trying, node, e)
			done()
			if err == nil || rpc.Detail(err) != nil && !rpc.Detail(err).GetTemporary() {
				return err
			}
			if ctx.Err() != nil {
				return err
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// order is the call that an event stands for.
func order(ctx context.Context, s *rpc.Services, e *simulations.Event) (err error) {
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Idempotency-Key", strconv.FormatUint(e.N, 10))
	switch e.Kind {
	case simulations.Bind:
		_, err = s.Device.BindToken(ctx, e.BindRequest())
	case simulations.Unbind:
		_, err = s.Device.UnbindToken(ctx, e.UnbindRequest())
	case simulations.Policy:
		_, err = s.User.SetUserPolicy(ctx, &rousev1.SetUserPolicyRequest{UserId: e.User, Policy: e.DevicePolicy()})
	case simulations.Erase:
		_, err = s.User.EraseUser(ctx, &rousev1.EraseUserRequest{UserId: e.User})
	case simulations.Settings:
		if r := e.SettingsRequest(); r != nil {
			_, err = s.Settings.SetUserSettings(ctx, r)
		} else {
			_, err = s.Settings.SetConversationSettings(ctx, e.ConversationRequest())
		}
	default:
		err = fmt.Errorf("live: there is no call for events of kind %q", e.Kind)
	}
	return err
}
