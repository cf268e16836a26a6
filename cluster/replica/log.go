package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// entryOverhead is what an entry costs in memory beside its payload.
const entryOverhead = 160

// memoryLog is the part of a group's log that is kept in memory, and all that
// Raft reads: what the writer has made durable, or has applied instead. It is
// the loop's.
type memoryLog struct {
	start    position // the entry before the first one
	entries  []*pb.Entry
	bytes    int  // of entries, with their overhead
	total    *int // bytes of the logs of all groups of the node
	initial  func() (hardState, *pb.ConfState)
	snapshot func() (*pb.Snapshot, error)
}

func (l *memoryLog) last() uint64 { return l.start.index + uint64(len(l.entries)) }

// append puts entries behind those below the first of them; what was there is
// replaced.
func (l *memoryLog) append(entries []*pb.Entry) {
	if len(entries) == 0 {
		return
	}
	if first := entries[0].GetIndex(); first <= l.last() {
		keep := max(first, l.start.index+1) - l.start.index - 1
		for _, e := range l.entries[keep:] {
			l.grow(-entryBytes(e))
		}
		l.entries = l.entries[:keep:keep] // Raft may still read what is replaced
	}
	for _, e := range entries {
		l.grow(entryBytes(e))
	}
	l.entries = append(l.entries, entries...)
}

// cut forgets the entries up to the index, which the log must hold.
func (l *memoryLog) cut(to uint64) {
	if to <= l.start.index {
		return
	}
	n := to - l.start.index
	l.start = position{index: to, term: l.entries[n-1].GetTerm()}
	for i, e := range l.entries[:n] {
		l.grow(-entryBytes(e))
		l.entries[i] = nil // the array lives until it is outgrown
	}
	l.entries = l.entries[n:]
}

func (l *memoryLog) restore(start position) {
	l.grow(-l.bytes)
	l.start, l.entries = start, nil
}

func (l *memoryLog) grow(bytes int) {
	l.bytes += bytes
	if l.total != nil {
		*l.total += bytes
	}
}

func entryBytes(e *pb.Entry) int { return len(e.GetData()) + entryOverhead }

// InitialState is part of raft.Storage.
func (l *memoryLog) InitialState() (*pb.HardState, *pb.ConfState, error) {
	h, c := l.initial()
	return h.proto(), c, nil
}

// Entries is part of raft.Storage.
func (l *memoryLog) Entries(lo, hi, limit uint64) ([]*pb.Entry, error) {
	if lo <= l.start.index {
		return nil, raft.ErrCompacted
	}
	if hi > l.last()+1 {
		return nil, raft.ErrUnavailable
	}
	entries := l.entries[lo-l.start.index-1 : hi-l.start.index-1]
	size := uint64(0)
	for i, e := range entries {
		size += uint64(len(e.GetData())) + 16
		if size > limit && i > 0 {
			entries = entries[:i]
			break
		}
	}
	return append([]*pb.Entry(nil), entries...), nil
}

// Term is part of raft.Storage.
func (l *memoryLog) Term(index uint64) (uint64, error) {
	switch {
	case index < l.start.index:
		return 0, raft.ErrCompacted
	case index == l.start.index:
		return l.start.term, nil
	case index > l.last():
		return 0, raft.ErrUnavailable
	}
	return l.entries[index-l.start.index-1].GetTerm(), nil
}

// FirstIndex is part of raft.Storage.
func (l *memoryLog) FirstIndex() (uint64, error) { return l.start.index + 1, nil }

// LastIndex is part of raft.Storage.
func (l *memoryLog) LastIndex() (uint64, error) { return l.last(), nil }

// Snapshot is part of raft.Storage.
func (l *memoryLog) Snapshot() (*pb.Snapshot, error) { return l.snapshot() }
