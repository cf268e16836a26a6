package shard

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors/user"
)

// leaveFor is how long a shard that is ready to be handed over waits for the loss
// of its leadership before it works on, so that no forgotten hand-over stops it.
const leaveFor = 5 * time.Second

// lookEvery is how often users are looked at that have yet to finish.
const lookEvery = 5 * time.Millisecond

type (
	lead struct {
		term  uint64
		ready chan<- error // has room
	}
	lose  struct{ term uint64 }
	yield struct{ done chan<- struct{} }
	// parted: no send of the shard is in flight.
	parted struct{ leave *leaving }
	// unpause: the pause after a dropped entry is over.
	unpause struct{ leave *leaving }
	// look: users may have finished meanwhile.
	look struct{ leave *leaving }
)

// Owed: one for each leadership, as the next three are.
func (*lead) Owed() {}

// Owed: see lead.
func (*lose) Owed() {}

// Owed: see lead.
func (*yield) Owed() {}

// Owed: one for each hand-over.
func (parted) Owed() {}

// Owed: one for each pause.
func (unpause) Owed() {}

// Owed: at most one for each hand-over is on its way.
func (look) Owed() {}

// leaving is an orderly hand-over: nothing new is taken on, and what was taken
// on ends. It may begin as a pause.
type leaving struct {
	since  time.Time
	yields bool              // it is a hand-over
	done   []chan<- struct{} // closed when nothing is left
	parted bool              // no send is in flight, and all ends have come
	looks  bool              // a look is on its way
	over   bool              // to work on when the commit under way has ended
	ready  chan<- error      // is told of that; may be nil
}

// onLead begins to work, or works on after a hand-over that did not come about.
func (a *Actor) onLead(c actor.Context, m *lead) {
	switch {
	case m.term < a.term:
		m.ready <- errOver
		return
	case m.term == a.term && a.leave == nil:
		m.ready <- a.unread
		return
	case m.term == a.term:
		a.leave.ready = m.ready
		a.resume(c)
		return
	case a.term != 0:
		a.rest(c, errOver)
	}
	a.term, a.swept = m.term, a.o.User.Now()
	a.set.works[a.id-1].Store(true)
	a.begin(c, m.ready)
}

func (a *Actor) begin(c actor.Context, ready chan<- error) {
	a.reread(c)
	a.set.leads[a.id-1].Store(true)
	if ready != nil {
		ready <- a.unread
	}
	if r := a.o.Router; r != nil {
		r.Wake(a.id)
	}
	if a.o.Began != nil {
		a.o.Began(a.id)
	}
}

// onLose ends work under a leadership that is over.
func (a *Actor) onLose(c actor.Context, m *lose) {
	if a.term != 0 && m.term >= a.term {
		a.rest(c, errOver)
	}
}

// rest waits for the next leadership. What became of the commit under way only
// that one will know; what is queued was not written. Both may be tried again
// where the shard is led, and so may the pushes that wait in the lanes.
func (a *Actor) rest(c actor.Context, err error) {
	a.term = 0
	a.set.works[a.id-1].Store(false)
	a.epoch++
	a.set.leads[a.id-1].Store(false)
	steps := append(a.inFlight, a.queue...)
	a.inFlight, a.queue = nil, nil
	for _, s := range steps {
		s.Return(unavailable(err))
	}
	a.disclaim(err)
	a.stopUsers(c)
	clear(a.intents)
	clear(a.owners)
	a.unread = nil
	a.o.User.Lanes.Forget(c.Self(), func() {})
	a.left(errOver)
	a.checkDrained()
}

// onYield makes ready for a hand-over.
func (a *Actor) onYield(c actor.Context, m *yield) {
	if a.term == 0 {
		close(m.done)
		return
	}
	if a.leave == nil {
		a.leave = &leaving{}
		a.set.leads[a.id-1].Store(false)
	}
	if l := a.leave; !l.yields {
		l.yields, l.since = true, a.o.User.Now()
		root, self := c.ActorSystem().Root, c.Self()
		a.o.User.Lanes.Forget(self, func() { root.Send(self, parted{l}) })
	}
	a.leave.done = append(a.leave.done, m.done)
	a.checkLeft(c)
}

// Bounds of the pause while the log takes nothing, which doubles: whatever users
// and lanes find in the store then they find again and again, a push that was sent
// and whose end was not written too. A push in doubt is sent again each time, so the
// longest pause is that between repeats of a vendor's lane rather than of a request.
const (
	pauseAfterDrop = 100 * time.Millisecond
	longestPause   = 10 * time.Second
)

// pause gives all that is under way back, to be tried again where the shard is led
// or as end says, and works on after a while.
func (a *Actor) pause(c actor.Context, end func(*user.Step)) {
	a.epoch++
	a.set.leads[a.id-1].Store(false)
	if a.leave == nil {
		l := &leaving{since: a.o.User.Now()}
		a.leave = l
		root, self := c.ActorSystem().Root, c.Self()
		time.AfterFunc(min(pauseAfterDrop<<min(a.failed-1, 10), longestPause), func() { root.Send(self, unpause{l}) })
	}
	steps := append(a.inFlight, a.queue...)
	a.inFlight, a.queue = nil, nil
	a.stopUsers(c)
	clear(a.intents)
	clear(a.owners)
	for _, s := range steps {
		end(s)
	}
}

func (a *Actor) onUnpause(c actor.Context, m unpause) {
	if a.leave == m.leave && !m.leave.yields {
		a.resume(c)
	}
}

func (a *Actor) onParted(c actor.Context, m parted) {
	if a.leave == m.leave {
		a.leave.parted = true
		a.checkLeft(c)
	}
}

func (a *Actor) onLook(c actor.Context, m look) {
	m.leave.looks = false
	a.checkLeft(c)
}

// checkLeft tells whoever waits for the hand-over that nothing is left to end.
func (a *Actor) checkLeft(c actor.Context) {
	l := a.leave
	if l == nil || !l.parted || len(l.done) == 0 || a.waiting() > 0 {
		return
	}
	if !a.settled() {
		if !l.looks {
			l.looks = true
			root, self := c.ActorSystem().Root, c.Self()
			time.AfterFunc(lookEvery, func() { root.Send(self, look{l}) })
		}
		return
	}
	for _, done := range l.done {
		close(done)
	}
	l.done = nil
}

// left ends a hand-over, done or not.
func (a *Actor) left(err error) {
	l := a.leave
	if l == nil {
		return
	}
	a.leave = nil
	for _, done := range l.done {
		close(done)
	}
	if l.ready != nil {
		l.ready <- err
	}
}

// resume works on under the same leadership: pushes that the lanes forgot come
// from the store again, once the commit under way has ended.
func (a *Actor) resume(c actor.Context) {
	l := a.leave
	if l.over = true; a.inFlight != nil {
		return
	}
	ready := l.ready
	l.ready = nil
	a.left(nil)
	steps := a.queue
	a.queue = nil
	for _, s := range steps {
		s.Return(unavailable(errEpoch))
	}
	a.begin(c, ready)
}
