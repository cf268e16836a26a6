package lane

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/rouse-im/rouse/internal/failpoint"
	"github.com/rouse-im/rouse/vendors"
)

// flight is one sender and the pushes that it has in flight. Its goroutines are
// kept: a send needs a deep stack, which a new goroutine would grow each time.
type flight struct {
	max, n  int // n <= max
	workers int // goroutines, as many as there were pushes in flight at once
	work    chan *push
	sender  vendors.Sender
	ctx     context.Context // of all its sends
	cancel  context.CancelFunc
}

func newFlight(s vendors.Sender) *flight {
	f := &flight{max: max(1, s.MaxInFlight()), sender: s}
	f.work = make(chan *push, f.max)
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// start sends p, which n counts already. It does not block: work has room for
// max pushes, and for each of the n there is a worker.
func (f *flight) start(p *push) {
	if f.workers < f.n {
		f.workers++
		go func() {
			for p := range f.work {
				p.send()
			}
		}()
	}
	f.work <- p
}

// send runs one attempt and brings the answer back as a message.
func (p *push) send() {
	p.answer = answer{kind: panicked}
	started := time.Now()
	defer func() {
		p.answer.took = time.Since(started)
		if r := recover(); r != nil {
			// The panic's value may hold what the push says; the stack does not.
			p.lane.log.Error("sender panicked", "push_id", p.d.PushID, "stack", string(debug.Stack()))
		}
		p.lane.post(landed{p})
	}()
	ctx, cancel := context.WithDeadline(p.flight.ctx, p.deadline)
	defer cancel()
	failpoint.Hit("lane/before-send")
	res, err := p.flight.sender.Send(ctx, p.d.N)
	failpoint.Hit("lane/after-send")
	p.answer = answer{res: res}
	if err != nil {
		p.answer = answer{kind: unanswered}
		if errors.Is(err, context.DeadlineExceeded) {
			p.answer.kind = timedOut
		}
	}
}

// close ends workers and connections; no push is in flight any more.
func (f *flight) close() {
	close(f.work)
	f.cancel()
	f.sender.Close()
}
