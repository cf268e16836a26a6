package replica

import (
	"encoding/binary"

	pb "go.etcd.io/raft/v3/raftpb"
)

// The first byte of a frame says what is in it.
const (
	frameMessages = 1 // messages of any number of groups, one after the other
	frameTrims    = 2 // which parts of logs all replicas have; older releases pass it over
)

// frameBytes is about where a frame ends and the next one begins.
const frameBytes = 1 << 20

// Which fields of a message follow; the others are zero.
const (
	hasLogTerm = 1 << iota
	hasIndex
	hasCommit
	hasHint
	hasContext
	hasEntries
	isReject
)

// spoken are the messages that nodes send to each other. Snapshots go their own
// way, proposals are not forwarded, and the rest is local.
var spoken = [...]bool{
	pb.MsgApp: true, pb.MsgAppResp: true, pb.MsgVote: true, pb.MsgVoteResp: true,
	pb.MsgHeartbeat: true, pb.MsgHeartbeatResp: true, pb.MsgTimeoutNow: true,
	pb.MsgPreVote: true, pb.MsgPreVoteResp: true,
}

func isSpoken(t pb.MessageType) bool { return t >= 0 && int(t) < len(spoken) && spoken[t] }

// appendMessage appends a message of a group: group(u16), type(u8), fields(u8),
// term, then the fields. Sender and receiver are those of the connection, and
// entries follow the message's index.
func appendMessage(dst []byte, group uint16, m *pb.Message) []byte {
	dst = append(dst, byte(group>>8), byte(group), byte(m.GetType()), 0)
	fields := len(dst) - 1
	dst = binary.AppendUvarint(dst, m.GetTerm())
	number := func(bit byte, v uint64) {
		if v != 0 {
			dst[fields] |= bit
			dst = binary.AppendUvarint(dst, v)
		}
	}
	number(hasLogTerm, m.GetLogTerm())
	number(hasIndex, m.GetIndex())
	number(hasCommit, m.GetCommit())
	number(hasHint, m.GetRejectHint())
	if c := m.GetContext(); len(c) > 0 {
		dst[fields] |= hasContext
		dst = append(binary.AppendUvarint(dst, uint64(len(c))), c...)
	}
	if m.GetReject() {
		dst[fields] |= isReject
	}
	if es := m.GetEntries(); len(es) > 0 {
		dst[fields] |= hasEntries
		dst = binary.AppendUvarint(dst, uint64(len(es)))
		for _, e := range es {
			size := 1 + uvarintLen(e.GetTerm()) + len(e.GetData())
			dst = appendRecord(binary.AppendUvarint(dst, uint64(size)), e)
		}
	}
	return dst
}

// messageBytes is about the length of a message, never less.
func messageBytes(m *pb.Message) int {
	const head, record = 80, 24
	n := head + len(m.GetContext())
	for _, e := range m.GetEntries() {
		n += record + len(e.GetData())
	}
	return n
}

func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// messageBox is a message with what it points to.
type messageBox struct {
	message                                        pb.Message
	from, to, term, logTerm, index, commit, reject uint64
	kind                                           pb.MessageType
	refused                                        bool
}

// readMessage cuts one message off r; r.bad if there is none. Contexts and
// entries are parts of what r reads.
func readMessage(r *reader, from, to uint64) (group uint16, m *pb.Message) {
	group = r.uint16()
	x := &messageBox{from: from, to: to, kind: pb.MessageType(r.byte())}
	fields := r.byte()
	number := func(bit byte) uint64 {
		if fields&bit == 0 {
			return 0
		}
		return r.uvarint()
	}
	x.term = r.uvarint()
	x.logTerm, x.index, x.commit, x.reject = number(hasLogTerm), number(hasIndex), number(hasCommit), number(hasHint)
	x.refused = fields&isReject != 0
	m = &x.message
	m.Type, m.From, m.To, m.Term = &x.kind, &x.from, &x.to, &x.term
	m.LogTerm, m.Index, m.Commit, m.RejectHint, m.Reject = &x.logTerm, &x.index, &x.commit, &x.reject, &x.refused
	if fields&hasContext != 0 {
		if c := r.sized(); len(c) > 0 {
			m.Context = c
		}
	}
	if fields&hasEntries != 0 {
		m.Entries = readEntries(r, x.index)
		r.bad = r.bad || x.kind != pb.MsgApp
	}
	// Raft takes a term of 0 for a local message.
	r.bad = r.bad || !isSpoken(x.kind) || x.term == 0
	return group, m
}

// detach gives the entries of a message memory of their own: those of a group
// that is written to seldom would keep whole frames full of others.
func detach(m *pb.Message) {
	size := 0
	for _, e := range m.GetEntries() {
		size += len(e.GetData())
	}
	own := make([]byte, 0, size)
	for _, e := range m.GetEntries() {
		if n := len(own); len(e.GetData()) > 0 {
			own = append(own, e.GetData()...)
			e.Data = own[n:len(own):len(own)]
		}
	}
}

func readEntries(r *reader, after uint64) []*pb.Entry {
	n := r.count(3)
	boxes := make([]entryBox, n)
	entries := make([]*pb.Entry, n)
	for i := range boxes {
		if readRecord(&boxes[i], after+1+uint64(i), r.sized()) != nil {
			r.bad = true
			return nil
		}
		entries[i] = &boxes[i].entry
	}
	return entries
}
