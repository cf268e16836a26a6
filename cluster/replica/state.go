package replica

import (
	"encoding/binary"
	"errors"

	pb "go.etcd.io/raft/v3/raftpb"
)

// errMalformed answers a decoder for bytes that no encoder of ours wrote.
var errMalformed = errors.New("replica: malformed bytes; a newer release wrote them or they are damaged")

// position is a place in a log.
type position struct{ index, term uint64 }

func (p position) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, p.index), p.term)
}

func readPosition(b []byte) (position, error) {
	r := reader{b: b}
	p := position{index: r.uvarint(), term: r.uvarint()}
	return p, r.end()
}

// hardState is what Raft must not forget: term and vote, and the commit index.
type hardState struct{ term, vote, commit uint64 }

func (h hardState) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(binary.AppendUvarint(dst, h.term), h.vote)
	return binary.AppendUvarint(dst, h.commit)
}

func readHardState(b []byte) (hardState, error) {
	r := reader{b: b}
	h := hardState{term: r.uvarint(), vote: r.uint64(), commit: r.uvarint()}
	return h, r.end()
}

func (h hardState) proto() *pb.HardState {
	return &pb.HardState{Term: &h.term, Vote: &h.vote, Commit: &h.commit}
}

// appendConf appends voters, learners, outgoing voters and next learners, each
// with their number before them, after one byte that says whether Raft leaves a
// joint configuration by itself.
func appendConf(dst []byte, c *pb.ConfState) []byte {
	auto := byte(0)
	if c.GetAutoLeave() {
		auto = 1
	}
	dst = append(dst, auto)
	for _, ids := range [][]uint64{c.GetVoters(), c.GetLearners(), c.GetVotersOutgoing(), c.GetLearnersNext()} {
		dst = binary.AppendUvarint(dst, uint64(len(ids)))
		for _, id := range ids {
			dst = binary.BigEndian.AppendUint64(dst, id)
		}
	}
	return dst
}

func readConf(b []byte) (*pb.ConfState, error) {
	r := reader{b: b}
	auto := r.byte() == 1
	c := &pb.ConfState{AutoLeave: &auto}
	for _, ids := range []*[]uint64{&c.Voters, &c.Learners, &c.VotersOutgoing, &c.LearnersNext} {
		n := r.count(8)
		for range n {
			*ids = append(*ids, r.uint64())
		}
	}
	return c, r.end()
}

// appendRecord appends an entry as the log keeps it, and as messages carry it:
// type(u8), term(uvarint), payload. Its index is in the key, or follows from the
// entry before it.
func appendRecord(dst []byte, e *pb.Entry) []byte {
	dst = binary.AppendUvarint(append(dst, byte(e.GetType())), e.GetTerm())
	return append(dst, e.GetData()...)
}

// entryBox is an entry with what it points to: one allocation, not four.
type entryBox struct {
	entry       pb.Entry
	index, term uint64
	kind        pb.EntryType
}

// readRecord fills the box; the entry's data is part of b.
func readRecord(x *entryBox, index uint64, b []byte) error {
	r := reader{b: b}
	x.index, x.kind, x.term = index, pb.EntryType(r.byte()), r.uvarint()
	if r.bad || x.kind > pb.EntryConfChangeV2 || x.kind == pb.EntryConfChange {
		return errMalformed
	}
	x.entry.Index, x.entry.Term, x.entry.Type = &x.index, &x.term, &x.kind
	if len(r.b) > 0 {
		x.entry.Data = r.b
	}
	return nil
}

// reader cuts values off b until one is missing; then all further ones are zero
// and bad is set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// sized cuts what has its length before it.
func (r *reader) sized() []byte { return r.take(r.uvarint()) }

// count reads the number of parts that follow, each of least bytes or more.
func (r *reader) count(least uint64) uint64 {
	n := r.uvarint()
	if n > uint64(len(r.b))/least {
		r.bad, r.b = true, nil
		return 0
	}
	return n
}

func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return errMalformed
	}
	return nil
}
