package replica

import (
	"encoding/binary"
	"errors"

	"go.etcd.io/raft/v3"

	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// maxReads bounds the calls of Confirm that wait, of all groups; over it Confirm
// answers storage.ErrBusy.
const maxReads = 1 << 14

const (
	// askAgain is after how many ticks a round is begun anew that was not answered:
	// Raft repeats it with each heartbeat, but not once the voters are others.
	askAgain = 3
	// patience is after how many election timeouts who waits is told that there is
	// no answer. A leader without a majority has stepped down by then: within two.
	patience = 3
)

// ErrUnconfirmed ends a Confirm for which the voters gave no answer in time.
var ErrUnconfirmed = errors.New("replica: most voters of the group did not confirm its leader in time; ask again later")

// reads are those who wait to know whether this node still leads a group. One
// round of questions to the voters is under way at a time; who comes meanwhile
// waits for the next one, as the voters may have answered before he came.
type reads struct {
	asked, next  []func(error)
	first, round uint64 // of asked: the first round begun and the last one
	age          int    // of the first round, ticks
	// index was committed when the round began; 0 = the voters have not answered.
	index uint64
}

func (r *reads) take() []func(error) {
	all := append(r.asked, r.next...)
	*r = reads{first: r.first, round: r.round}
	return all
}

// reading is a call of Confirm on its way to the loop.
type reading struct {
	g    *group
	term uint64
	done func(error)
}

// Confirm asks the voters of a group whether this node still leads it in that
// term, and calls done once: with nil when most of them have said so after the
// call, and all that was committed before the call can be read here; with
// storage.ErrNotLeader if it does not lead in that term, or no longer,
// ErrUnconfirmed, storage.ErrBusy or storage.ErrClosed. What was read under that
// leadership before or after the call is then not older than the call. One voter
// answers at once, before Confirm returns; else done is called from the loop. It
// must not block.
func (e *Engine) Confirm(id uint16, term uint64, done func(error)) {
	if e.Alone(id, term) {
		done(nil)
		return
	}
	g := e.group(id)
	if g == nil {
		done(storage.ErrNotLeader)
		return
	}
	if l := g.hint.Load(); !l.led || l.term != term {
		done(storage.ErrNotLeader)
		return
	}
	if err := e.in.ask(reading{g, term, done}); err != nil {
		done(err)
	}
}

// Alone tells that this node leads the group in that term and is its only voter,
// so that nobody else can have led it since.
func (e *Engine) Alone(id uint16, term uint64) bool {
	g := e.group(id)
	if g == nil {
		return false
	}
	l := g.hint.Load()
	return l.led && l.alone && l.term == term
}

func (in *inbox) ask(r reading) error {
	if in.reads.Add(1) > maxReads {
		in.reads.Add(-1)
		return storage.ErrBusy
	}
	in.mu.Lock()
	err := in.closed
	if err == nil {
		in.next.reads = append(in.next.reads, r)
	}
	in.mu.Unlock()
	if err != nil {
		in.reads.Add(-1)
		return err
	}
	in.kick()
	return nil
}

// answer ends calls of Confirm.
func (e *Engine) answer(all []func(error), err error) {
	for i, done := range all {
		e.in.reads.Add(-1)
		all[i] = nil
		done(err)
	}
}

// confirm takes a call in; the round begins when all that came with it is heard.
func (l *loop) confirm(r *reading) {
	switch g := r.g; {
	case g.gone || g.led == 0 || r.term != g.led:
		l.e.answer([]func(error){r.done}, storage.ErrNotLeader)
	case plant.On(plant.ReadUnconfirmed):
		l.e.answer([]func(error){r.done}, nil)
	default:
		g.reads.next = append(g.reads.next, r.done)
		l.mark(g)
	}
}

// round begins one if somebody waits and none is under way.
func (l *loop) round(g *group) {
	r := &g.reads
	if len(r.asked) > 0 || len(r.next) == 0 {
		return
	}
	r.asked, r.next = r.next, r.asked
	r.first, r.age, r.index = r.round+1, 0, 0
	l.askVoters(g)
}

func (l *loop) askVoters(g *group) {
	g.reads.round++
	if g.node.BasicStatus().RaftState != raft.StateLeader {
		return // it has just ended, which will be told; a follower would ask its leader
	}
	l.e.metrics.rounds.Inc()
	g.node.ReadIndex(binary.BigEndian.AppendUint64(nil, g.reads.round))
	l.mark(g)
}

// affirm takes note that the voters have answered a round.
func (l *loop) affirm(g *group, s raft.ReadState) {
	r := &g.reads
	if len(r.asked) == 0 || r.index > 0 || len(s.RequestCtx) != 8 || binary.BigEndian.Uint64(s.RequestCtx) < r.first {
		return // of those who have their answer
	}
	r.index = s.Index
	l.affirmed = append(l.affirmed, g)
}

// readable answers those who waited for affirmed rounds, if what was committed
// when these began can be read.
func (l *loop) readable() {
	left := l.affirmed[:0]
	for _, g := range l.affirmed {
		switch r := &g.reads; {
		case len(r.asked) == 0 || r.index == 0: // ended otherwise
		case g.applied.index < r.index || g.unsettled:
			left = append(left, g)
		default:
			asked := r.asked
			r.asked, r.index = nil, 0
			l.e.answer(asked, nil)
			if r.asked = asked[:0]; cap(asked) > maxStep {
				r.asked = nil
			}
			l.round(g)
		}
	}
	clear(l.affirmed[len(left):])
	l.affirmed = left
}

// overlong looks after a round that takes long.
func (l *loop) overlong(g *group) {
	r := &g.reads
	switch r.age++; {
	case r.age >= patience*l.e.o.Election:
		asked := r.asked
		r.asked, r.index = nil, 0
		l.e.answer(asked, ErrUnconfirmed)
		l.round(g)
	case r.age%askAgain == 0 && r.index == 0:
		l.askVoters(g)
	}
}
