package lane

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Forget makes all lanes drop the queued pushes whose Ended would go to the given
// actor, without an Ended: the shard is led elsewhere from now on, and its new
// leader has them in the outboxes of their users. What is dispatched after Forget
// is not concerned. A send in flight goes on, and the vendor's verdict is told as
// ever; without one the push is dropped too.
//
// done is called once, when none of these sends is in flight any more and all
// their verdicts have been told. It must not block.
func (d *Directory) Forget(to *actor.PID, done func()) {
	lanes := d.All()
	var open atomic.Int64
	open.Store(int64(len(lanes)) + 1)
	one := func() {
		if open.Add(-1) == 0 {
			done()
		}
	}
	for _, l := range lanes {
		l.post(forget{to, one})
	}
	one()
}

// parting waits for sends in flight.
type parting struct {
	sends map[*push]bool
	done  func()
}

func (a *shell) forget(m *forget, now time.Time) {
	p := &parting{sends: map[*push]bool{}, done: m.done}
	for _, sent := range a.state.forget(func(d *Dispatch) bool { return d.To != nil && d.To.Equal(m.to) }, now) {
		p.sends[sent] = true
	}
	a.partings = append(a.partings, p)
}

// landedOf takes a push that has its answer off what partings wait for.
func (a *shell) landedOf(sent *push) {
	for _, p := range a.partings {
		delete(p.sends, sent)
	}
}

// part ends the partings that wait for nothing, after the verdicts were told.
func (a *shell) part() {
	a.partings = slices.DeleteFunc(a.partings, func(p *parting) bool {
		if len(p.sends) > 0 {
			return false
		}
		p.done()
		return true
	})
}
