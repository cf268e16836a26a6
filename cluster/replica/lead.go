package replica

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/raft/v3"

	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// follow takes note of who leads now.
func (l *loop) follow(g *group) {
	if g.state != raft.StateLeader || g.hard.term != g.elected {
		g.elected = 0
	}
	if g.led != 0 && (g.state != raft.StateLeader || g.hard.term != g.led) {
		l.lose(g)
	}
	if g.leader != raft.None {
		g.campaign = 0
	}
	if plant.On(plant.BarrierSkipped) && g.led == 0 && g.state == raft.StateLeader {
		g.elected = g.hard.term
		l.elect(g)
	}
	l.publish(g)
}

// lose ends a leadership. What was proposed under it may be committed by the
// next leader.
func (l *loop) lose(g *group) {
	term := g.led
	if g.handing != term {
		l.e.metrics.lost.Inc()
	}
	g.led, g.unsure = 0, false
	l.publish(g)
	for _, p := range g.waiting.take() {
		l.e.end(p, storage.ErrUnknown)
	}
	l.e.answer(g.reads.take(), storage.ErrNotLeader)
	if c := g.change; c != nil {
		g.change = nil
		if c.want.is(g.conf) {
			c.end(nil) // it was this leader's end
		} else {
			c.end(storage.ErrUnknown)
		}
	}
	g.changing = false
	l.e.log.Debug("replica: leads no more", "group", g.id, "term", term)
	l.e.metrics.led.Dec()
	l.e.o.Lose(g.id, term)
}

// publish shows others who leads. It comes before all that the group says, so
// nobody has heard of other voters while this node is shown as the only one.
func (l *loop) publish(g *group) {
	now := leadership{leader: g.leader, term: g.hard.term, led: g.led != 0, alone: g.led != 0 && isSole(g.conf, l.e.o.ID), unsure: g.led != 0 && g.unsure}
	if old := g.hint.Load(); *old != now {
		g.hint.Store(&now)
		if old.leader != now.leader || old.term != now.term {
			l.e.o.Changed(g.id)
		}
	}
}

// PeerDown tells that the connection of a node ended. Groups that it leads elect
// another leader at once, if most of their voters lost it, too: those whom only
// their own connection failed still hear the leader and refuse.
func (e *Engine) PeerDown(id uint64) {
	_ = e.in.order(func() { e.loop.peerDown(id) }) // beyond the bound, elections wait for their timeout
}

// electionTurn is how long the voters of a group wait for each other when their
// leader is gone: Raft's votes may be split, and then nobody is elected for the
// rest of a timeout.
const electionTurn = 2 // ticks: above a round trip and a synced write

func (l *loop) peerDown(id uint64) {
	for _, g := range l.groups {
		if g.state == raft.StateLeader {
			g.node.ReportUnreachable(id)
		}
		if g.leader != id {
			continue
		}
		_ = g.node.ForgetLeader() // nothing but a follower's memory
		g.leader = raft.None
		l.mark(g)
		turn, turns := rank(g.id, l.e.o.ID, id, g.conf.GetVoters())
		if turns == 0 {
			continue
		}
		g.attempts, g.turns = turns+1, turns
		if g.campaign = 1 + turn*electionTurn; turn == 0 {
			l.stand(g)
		}
	}
}

// stand campaigns for a group whose leader is gone: once more at the next tick,
// since the others may have noticed a moment later than this node and refused, and
// then after a turn of each voter. Who already has the others' leave to campaign is
// not interrupted.
func (l *loop) stand(g *group) {
	if g.leader != raft.None || g.state == raft.StateLeader || g.attempts == 0 {
		g.campaign, g.attempts = 0, 0
		return
	}
	g.campaign = electionTurn * g.turns
	switch g.attempts--; {
	case g.attempts == g.turns: // the first
		g.campaign = 1
	case g.attempts == g.turns-1 && g.state == raft.StateCandidate:
		return
	}
	_ = g.node.Campaign()
	l.mark(g)
}

// rank is the turn of a voter, in an order that differs from group to group, and
// how many voters there are without the one that is gone; 0 turns for a node
// that does not vote.
func rank(group uint16, self, gone uint64, voters []uint64) (turn, turns int) {
	order := slices.DeleteFunc(slices.Clone(voters), func(id uint64) bool { return id == gone })
	if !slices.Contains(order, self) {
		return 0, 0
	}
	weight := func(id uint64) uint64 {
		b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint64(nil, id), group)
		return xxhash.Sum64(b)
	}
	slices.SortFunc(order, func(a, b uint64) int { return cmp.Or(cmp.Compare(weight(b), weight(a)), cmp.Compare(a, b)) })
	return slices.Index(order, self), len(order)
}

// Transfer asks the leader, if this node is it, to hand the group to another
// voter: when that has the whole log. Proposals meanwhile are ErrDropped. After
// an election timeout the leader goes on if it has not happened.
func (e *Engine) Transfer(id uint16, to uint64) error {
	return e.ask(func() error {
		g := e.group(id)
		if g == nil || g.state != raft.StateLeader {
			return storage.ErrNotLeader
		}
		if !slices.Contains(g.conf.GetVoters(), to) {
			return errNoVoter
		}
		g.node.TransferLeader(to)
		g.handing = g.led
		e.loop.mark(g)
		return nil
	})
}

// tick is a tick of all groups.
func (l *loop) tick() {
	l.noteGap()
	for _, g := range l.groups {
		g.node.Tick()
		g.silent++
		if g.campaign > 0 {
			if g.campaign--; g.campaign == 0 {
				l.stand(g)
			}
		}
		if g.change != nil || g.jointFor > 0 || isJoint(g.conf) {
			l.reconcile(g)
		}
		if len(g.snapshots) > 0 {
			l.overdue(g)
		}
		if len(g.doubts) > 0 {
			l.judge(g)
		}
		if len(g.reads.asked) > 0 {
			l.overlong(g)
		}
		if l.worthTrimming(g) {
			l.trim(g)
		}
		if g.node.HasReady() {
			l.mark(g)
		}
	}
	l.tellTrims()
	l.e.traffic.decide(time.Since(l.e.started))
}
