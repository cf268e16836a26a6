package replica

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// trim is what a leader of a term tells: all replicas of the group have its log up
// to the index on their disks, so that nobody will ever ask for that part again.
//
// Cutting it off at once spares the store most of the log's way through its
// levels, since records are deleted while they are still in the memtable, and
// memory. A replica that is away stops it; then the limits alone bound the log.
type trim struct{ term, index uint64 }

// worthTrimming tells whether the log of a group is long enough for it.
func (l *loop) worthTrimming(g *group) bool {
	return g.state == raft.StateLeader && len(g.log.entries) > 0 && g.log.bytes >= l.e.limits.trim
}

// trim cuts the log of a group that this node leads, and lets the followers cut
// theirs. They are told once: what gets lost is made up for by the next one.
func (l *loop) trim(g *group) {
	safe, replicas := g.applied.index, 0
	g.node.WithProgress(func(_ uint64, _ raft.ProgressType, p tracker.Progress) {
		safe = min(safe, p.Match)
		replicas++
	})
	if replicas < 2 || safe <= g.log.start.index { // one alone has its own limit
		return
	}
	l.cut(g, safe)
	l.mark(g) // so that the batch is committed
	g.node.WithProgress(func(id uint64, _ raft.ProgressType, _ tracker.Progress) {
		if id == l.e.o.ID {
			return
		}
		if l.trims == nil {
			l.trims = map[uint64][]byte{}
		}
		frame := l.trims[id]
		if len(frame) == 0 {
			frame = append(frame, frameTrims)
		}
		l.trims[id] = appendTrim(frame, g.id, trim{term: g.hard.term, index: safe})
	})
}

// tellTrims sends what one tick's trims have to say.
func (l *loop) tellTrims() {
	for to, frame := range l.trims {
		if l.e.o.Send(to, frame) != nil {
			l.e.metrics.unsent.Inc()
		}
		delete(l.trims, to)
	}
}

// trimmed hears a leader's trim. What this node has not applied it keeps.
func (l *loop) trimmed(id uint16, t trim) {
	if g := l.e.group(id); g != nil && g.state == raft.StateFollower && g.hard.term == t.term {
		l.cut(g, min(t.index, g.applied.index))
		l.mark(g)
	}
}

// appendTrim appends group(u16), term and index.
func appendTrim(dst []byte, group uint16, t trim) []byte {
	dst = append(dst, byte(group>>8), byte(group))
	return binary.AppendUvarint(binary.AppendUvarint(dst, t.term), t.index)
}

func readTrim(r *reader) (group uint16, t trim) {
	return r.uint16(), trim{term: r.uvarint(), index: r.uvarint()}
}
