package replica

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/storage"
)

// foundedAt is where the log of a founded group begins, as if a snapshot had
// been installed: whoever joins gets what the store held before, too.
var foundedAt = position{index: 1, term: 1}

// group is one replica. All but hint is the loop's.
type group struct {
	id   uint16
	node *raft.RawNode
	log  memoryLog
	hint atomic.Pointer[leadership] // for others

	dirty bool // in the loop's list
	gone  bool // removed: what still arrives for it is dropped

	hard   hardState // as Raft has it
	state  raft.StateType
	leader uint64
	conf   *pb.ConfState // as of applied
	led    uint64        // term for which Lead was called, 0 = none
	// elected is the term whose barrier is applied with this pass, 0 = none.
	elected uint64

	applied position
	handed  position // applied, or handed to the writer to be applied: never below applied
	// unsettled: what was applied last is in the pass's batch. The writer must not
	// overtake it.
	unsettled bool
	erased    uint64 // the log is cut up to here as soon as it can be, whoever needs it
	confAt    uint64 // last entry of the log that changes the configuration
	writing   int    // pieces of work the writer has
	written   hardState
	disk      span // records that are on disk once the writer is done
	proposed  []*pb.Entry
	proposer  []pending // of proposed
	waiting   waiting
	reads     reads

	change    *change
	changing  bool   // a change was proposed and is not in the log yet
	jointFor  int    // ticks in a joint configuration
	silent    int    // ticks since a leader was heard
	unsure    bool   // see leadership
	handing   uint64 // term of the leadership that was to be handed over last
	campaign  int    // ticks until an election is tried because a leader is gone; 0 = none
	attempts  int    // of those that are left
	turns     int    // voters that are left to lead
	snapshots map[uint64]*outgoing
	incoming  *incoming

	// lacks is up to where this replica once had the log and has not now; 0 = it has
	// lost nothing.
	lacks  uint64
	told   bool              // and the operator was told
	doubts map[uint64]*doubt // of a leader, by node: at most one for each replica
}

// leadership is what others may know of a group without asking the loop.
type leadership struct {
	leader, term uint64
	led          bool // this node leads, and the barrier has passed
	alone        bool // and nobody else votes
	unsure       bool // this node stood still, and the voters have not said yet that it still leads
}

// span is the records first..last; none if first is 0.
type span struct{ first, last uint64 }

// pending is a proposal whose end its caller waits for.
type pending struct {
	size  int
	since time.Duration // when it was proposed, on the engine's clock
	done  func(error)
}

// waiting are the proposals of one term that are in the log, in its order: each
// is the next entry of that term that has a payload.
type waiting struct {
	term  uint64
	queue []pending
	head  int
}

func (w *waiting) push(ps []pending) { w.queue = append(w.queue, ps...) }

// pop returns the proposal that the entry is, if it is one of them.
func (w *waiting) pop(e *pb.Entry) (pending, bool) {
	if w.head == len(w.queue) || e.GetTerm() != w.term || !isData(e) {
		return pending{}, false
	}
	p := w.queue[w.head]
	w.queue[w.head] = pending{}
	if w.head++; w.head == len(w.queue) {
		w.queue, w.head = w.queue[:0], 0
	}
	return p, true
}

func (w *waiting) take() []pending {
	left := append([]pending(nil), w.queue[w.head:]...)
	clear(w.queue)
	*w = waiting{queue: w.queue[:0]}
	return left
}

func at(e *pb.Entry) position { return position{index: e.GetIndex(), term: e.GetTerm()} }

func isData(e *pb.Entry) bool { return e.GetType() == pb.EntryNormal && len(e.GetData()) > 0 }

func isConf(e *pb.Entry) bool { return e.GetType() != pb.EntryNormal }

// newGroup makes the replica that has this state; records are its log from
// start on.
func (e *Engine) newGroup(id uint16, h hardState, conf *pb.ConfState, start, applied position, records []*pb.Entry) (*group, error) {
	g := &group{id: id, hard: h, written: h, conf: conf, applied: applied, handed: applied, snapshots: map[uint64]*outgoing{}, doubts: map[uint64]*doubt{}}
	g.log.start = start
	g.log.append(records)
	g.log.initial = func() (hardState, *pb.ConfState) { return g.hard, g.conf }
	g.log.snapshot = func() (*pb.Snapshot, error) { return e.snapshotOf(g) }
	if len(records) > 0 {
		g.disk = span{first: start.index + 1, last: g.log.last()}
	}
	for _, x := range records {
		if isConf(x) {
			g.confAt = x.GetIndex()
		}
	}
	var err error
	g.node, err = raft.NewRawNode(&raft.Config{
		ID: e.o.ID, Storage: &g.log, Applied: applied.index, AsyncStorageWrites: true,
		ElectionTick: e.o.Election, HeartbeatTick: heartbeatTicks, PreVote: true, CheckQuorum: true,
		MaxSizePerMsg: maxSizePerMessage, MaxInflightMsgs: maxInflightMessages, MaxInflightBytes: maxInflightBytes,
		MaxUncommittedEntriesSize: maxUncommittedBytes, MaxCommittedSizePerReady: maxApplyingBytes,
		DisableProposalForwarding: true, StepDownOnRemoval: true,
		Logger: raftLogger{e.log.With("group", id)},
	})
	if err != nil {
		return nil, fmt.Errorf("replica: group %d: %w", id, err)
	}
	g.hint.Store(&leadership{term: h.term})
	return g, nil
}

var errCorrupt = errors.New("the replica's state contradicts itself; remove the node's disk and let it join anew")

// load reads a replica from the store.
func (e *Engine) load(id uint16) (*group, error) {
	fail := func(err error) (*group, error) { return nil, fmt.Errorf("replica: open group %d: %w", id, err) }
	var h hardState
	var start, applied position
	conf := &pb.ConfState{}
	for kind, read := range map[storage.StateKind]func([]byte) (err error){
		storage.HardState:      func(b []byte) (err error) { h, err = readHardState(b); return },
		storage.TruncatedState: func(b []byte) (err error) { start, err = readPosition(b); return },
		storage.AppliedState:   func(b []byte) (err error) { applied, err = readPosition(b); return },
		storage.ConfState:      func(b []byte) (err error) { conf, err = readConf(b); return },
	} {
		b, err := e.o.Store.State(id, kind)
		if err == nil {
			err = read(b)
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return fail(err)
		}
	}
	records, err := recordsOf(e.o.Store, id)
	if err != nil {
		return fail(err)
	}
	if len(records) == 0 && applied.index > start.index {
		start = applied // one voter: the writer applied without a log
	}
	for i, x := range records {
		if x.GetIndex() != start.index+1+uint64(i) {
			return fail(fmt.Errorf("%w: record %d after %d", errCorrupt, x.GetIndex(), start.index+uint64(i)))
		}
	}
	last := start.index + uint64(len(records))
	lacks := uint64(0)
	if h.commit > last && !isSole(conf, e.o.ID) {
		lacks, h.commit = h.commit, last // see stored: others have it
	}
	h.commit = max(h.commit, applied.index) // the commit alone is never written
	if applied.index < start.index || h.commit > last {
		return fail(fmt.Errorf("%w: log %d..%d, applied %d, committed %d", errCorrupt, start.index, last, applied.index, h.commit))
	}
	e.eraser.found(id, records)
	g, err := e.newGroup(id, h, conf, start, applied, records)
	if err == nil {
		g.lacks = lacks
	}
	return g, err
}

func recordsOf(s *storage.Store, id uint16) (records []*pb.Entry, err error) {
	err = s.Logs(id, 0, func(index uint64, record []byte) error {
		x := &entryBox{}
		if err := readRecord(x, index, append([]byte(nil), record...)); err != nil {
			return err
		}
		records = append(records, &x.entry)
		return nil
	})
	return records, err
}

// soleVoter reports whether what this node appends now is committed by being
// durable.
func (g *group) soleVoter(self uint64) bool {
	return g.state == raft.StateLeader && !g.unsettled && g.confAt <= g.applied.index && isSole(g.conf, self)
}

func isSole(c *pb.ConfState, self uint64) bool {
	return len(c.GetVoters()) == 1 && c.GetVoters()[0] == self && len(c.GetVotersOutgoing()) == 0
}

func isJoint(c *pb.ConfState) bool { return len(c.GetVotersOutgoing()) > 0 }
