package lane

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/rouse-im/rouse/internal/failpoint"
	"github.com/rouse-im/rouse/vendors"
)

// flight is one sender and the requests that it has in flight. Its goroutines are
// kept: a send needs a deep stack, which a new goroutine would grow each time.
type flight struct {
	max, n  int // n <= max
	workers int // goroutines, as many as there were requests in flight at once
	work    chan *push
	sender  vendors.Sender
	batcher vendors.BatchSender // sender, if it is one
	// batch is the most pushes of one request, of which all must be the same;
	// below 2 each goes alone.
	batch  int
	same   func(a, b *vendors.Notification) bool
	ctx    context.Context // of all its sends
	cancel context.CancelFunc
}

func newFlight(s vendors.Sender) *flight {
	f := &flight{max: max(1, s.MaxInFlight()), sender: s}
	if b, ok := s.(vendors.BatchSender); ok {
		f.batcher, f.batch, f.same = b, b.MaxBatch(), b.Same
	}
	f.work = make(chan *push, f.max)
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// start sends the request that p leads, which n counts already. It does not
// block: work has room for max requests, and for each of the n there is a worker.
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

// send makes the request that p leads and brings the answer back as a message.
func (p *push) send() {
	p.tell(answer{kind: panicked})
	started := time.Now()
	defer func() {
		p.took = time.Since(started)
		if r := recover(); r != nil {
			// The panic's value may hold what the push says; the stack does not.
			p.lane.log.Error("sender panicked", "push_id", p.d.PushID, "stack", string(debug.Stack()))
		}
		p.lane.post(landed{p})
	}()
	ctx, cancel := context.WithTimeout(p.flight.ctx, p.deadline.Sub(p.lane.now()))
	defer cancel()
	failpoint.Hit("lane/before-send")
	var res vendors.Result
	var err error
	if len(p.rest) > 0 {
		err = p.sendBatch(ctx)
	} else if res, err = p.flight.sender.Send(ctx, p.d.N); err == nil {
		p.tell(answer{res: res})
	}
	failpoint.Hit("lane/after-send")
	if err != nil {
		p.tell(answer{kind: silenceOf(err)})
	}
}

// codeResults marks an answer that has not one result for each token: it says
// nothing about any of them.
const codeResults = "rouse:RESULTS"

func (p *push) sendBatch(ctx context.Context) error {
	tokens := make([]string, 0, 1+len(p.rest))
	for q := range p.all() {
		tokens = append(tokens, q.d.N.Token)
	}
	results, err := p.flight.batcher.SendBatch(ctx, p.d.N, tokens)
	if err != nil {
		return err
	}
	if len(results) != len(tokens) {
		p.tell(answer{res: vendors.Result{Outcome: vendors.Transient, Code: codeResults}})
		return nil
	}
	i := 0
	for q := range p.all() {
		q.answer = answer{res: results[i]}
		i++
	}
	return nil
}

// tell gives all pushes of the request the same answer.
func (p *push) tell(a answer) {
	for q := range p.all() {
		q.answer = a
	}
}

// close ends workers and connections; no push is in flight any more.
func (f *flight) close() {
	close(f.work)
	f.cancel()
	f.sender.Close()
}
