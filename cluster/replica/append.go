package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// write makes work of what Raft wants to be durable, and of what it wants to be
// said afterwards.
func (l *loop) write(g *group, m *pb.Message) {
	w := &work{g: g, entries: m.GetEntries(), replies: m.GetResponses()}
	if s := m.GetSnapshot(); !raft.IsEmptySnap(s) {
		l.install(g, w, s.GetMetadata())
	}
	l.divide(g, w)
	if l.regain(g); g.lacks > 0 {
		emptied(w.replies)
	}
	if len(w.records) > 0 || w.restore != nil || g.hard.term != g.written.term || g.hard.vote != g.written.vote || g.lacks > g.written.commit {
		h := g.stored()
		w.hard, g.written = &h, h
	}
	if !w.writes() {
		if len(w.replies) == 0 {
			return // a commit index alone
		}
		if g.writing == 0 { // all that it waits for is durable
			l.reply(g, w)
			return
		}
	}
	g.writing++
	l.todo = append(l.todo, w)
}

// reply says at once what waits for nothing.
func (l *loop) reply(g *group, w *work) {
	own := false
	for _, m := range w.replies {
		if m.GetTo() == l.e.o.ID {
			own = true
		} else {
			l.post.add(g.id, m)
		}
	}
	if own {
		g.writing++
		l.e.in.finish([]*work{w})
	}
}

// divide decides which entries become records, and which the writer applies
// instead: those that follow on what is applied, while this node alone votes.
func (l *loop) divide(g *group, w *work) {
	if len(w.entries) > 0 {
		g.changing = false
	}
	for i, e := range w.entries {
		if isConf(e) {
			g.confAt = e.GetIndex()
		}
		if e.GetIndex() == g.handed.index+1 && e.GetTerm() == g.hard.term && g.soleVoter(l.e.o.ID) {
			g.handed = at(e)
			if p, ok := g.waiting.pop(e); ok {
				w.dones = append(w.dones, p)
			}
			continue
		}
		w.direct, w.records = w.entries[:i], w.entries[i:]
		l.record(g, w)
		return
	}
	w.direct = w.entries
	if len(w.direct) > 0 && g.disk.first > 0 {
		w.remove, g.disk = g.disk, span{}
	}
}

// record takes note of new records, and of those that they replace.
func (l *loop) record(g *group, w *work) {
	for _, e := range w.records {
		if isConf(e) {
			g.confAt = max(g.confAt, e.GetIndex())
		}
	}
	first, last := w.records[0].GetIndex(), w.records[len(w.records)-1].GetIndex()
	switch {
	case len(w.direct) > 0 && g.disk.first > 0:
		w.remove, g.disk = g.disk, span{}
	case g.disk.last > last:
		w.remove = span{last + 1, g.disk.last}
	}
	if g.disk.first == 0 {
		at := g.handed // all before the first record is applied
		w.cut, g.disk.first = &at, first
	}
	g.disk.last = last
}

// written takes work back from the writer.
func (l *loop) written(w *work) {
	g := w.g
	g.writing--
	if g.gone {
		return
	}
	if w.restore != nil {
		l.installed(g, w)
	}
	g.log.append(w.entries)
	for _, m := range w.replies {
		if m.GetTo() == l.e.o.ID {
			_ = g.node.Step(m) // of a former term
		}
	}
	l.mark(g)
}
