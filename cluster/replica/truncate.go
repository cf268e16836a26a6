package replica

import (
	"github.com/rouse-im/rouse/internal/plant"
	"github.com/rouse-im/rouse/storage"
)

// limits bound the log of a group.
type limits struct {
	// Beyond either the log is cut down to the trailing part, which serves
	// followers that were away for a moment.
	entries, bytes                 int
	trailingEntries, trailingBytes int
	// most is what the log may grow to while a snapshot is on its way, whose
	// receiver needs what follows on it.
	most int
	// total is what the logs of all groups may take in memory; over it each is cut
	// down to its part. Groups that are written to no more keep what they have, so
	// that twice as much is the most.
	total int
	// alone is what a node that has nobody to serve keeps.
	alone int
	// trim is what a log has before a leader cuts off what all replicas have. Less
	// saves little, and each cut leaves a tombstone in the store.
	trim int
}

var defaultLimits = limits{
	entries: 20_000, bytes: 16 << 20, trailingEntries: 10_000, trailingBytes: 8 << 20, most: 64 << 20, total: 128 << 20, alone: 256 << 10,
	trim: 32 << 10,
}

// truncate cuts the log, in the batch that applies: whatever survives a crash
// has either the record or what it did.
func (l *loop) truncate(g *group) { l.cut(g, l.cutAt(g)) }

// cut cuts the log up to the index.
func (l *loop) cut(g *group, to uint64) {
	if g.disk.first > 0 {
		to = min(to, g.disk.last-1) // a log on disk has a record
	}
	if to <= g.log.start.index {
		return
	}
	term, err := g.log.Term(to)
	if err != nil {
		return // not in memory yet
	}
	if g.disk.first > 0 && to >= g.disk.first {
		l.batch.DeleteLogs(g.id, g.disk.first, to+1)
		l.batch.SetState(g.id, storage.TruncatedState, position{index: to, term: term}.append(nil))
		g.disk.first = to + 1
	}
	g.log.cut(to)
}

// leastLog is what the log of a group may take, however many groups there are.
const leastLog = 256 << 10

// cutAt is the index up to which the log is cut, or 0.
func (l *loop) cutAt(g *group) uint64 {
	m, n, bytes := &l.e.limits, len(g.log.entries), g.log.bytes
	entries, trailing := m.entries, m.trailingBytes
	limit := m.bytes
	if m.total > 0 && l.logged > m.total {
		limit = min(limit, max(m.total/len(l.groups), leastLog))
		trailing = min(trailing, limit/2)
	}
	if g.disk.first == 0 && len(g.conf.GetLearners()) == 0 {
		entries, limit, trailing = n, m.alone, m.alone/2
	}
	forget := min(g.erased, g.applied.index-min(1, g.applied.index))
	if n <= entries && bytes <= limit && forget <= g.log.start.index {
		return 0
	}
	to := g.log.start.index
	for _, e := range g.log.entries {
		if e.GetIndex() <= forget {
			to = forget
			n--
			bytes -= entryBytes(e)
			continue
		}
		if n <= entries && bytes <= limit && to == forget {
			break // only what must be forgotten is
		}
		if n <= m.trailingEntries && bytes <= trailing || e.GetIndex() >= g.applied.index {
			break
		}
		to = e.GetIndex()
		n--
		bytes -= entryBytes(e)
	}
	if g.log.bytes < m.most && !plant.On(plant.LogCutUnderSnapshot) {
		for _, s := range g.snapshots {
			to = min(to, s.at.index)
		}
	}
	return to
}
