package replica

import (
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/storage"
)

const (
	// maxProposals and maxProposalBytes bound what is proposed and has not ended,
	// of all groups; over either, Propose answers storage.ErrBusy.
	maxProposals     = 1 << 14
	maxProposalBytes = 64<<20 + storage.MaxEntryBytes
	// maxMessages and maxMessageBytes bound what other nodes said and the loop
	// has not heard; a frame beyond is dropped, and Raft says it again.
	maxMessages     = 1 << 15
	maxMessageBytes = 128 << 20
	// maxCalls bounds the orders of callers; one beyond is answered ErrBusy.
	maxCalls = 1 << 12
)

// proposal is an entry on its way to the loop.
type proposal struct {
	g    *group
	term uint64
	data []byte
	pending
}

// message is one of Raft, or a trim if m is nil.
type message struct {
	group uint16
	m     *pb.Message
	trim  trim
}

// batch is what the loop takes out of the inbox at once.
type batch struct {
	proposals    []proposal
	messages     []message
	messageBytes int
	finished     []*work
	calls        []func()
	reads        []reading
}

func (b *batch) reset() {
	clear(b.proposals)
	clear(b.messages)
	clear(b.finished)
	clear(b.calls)
	clear(b.reads)
	*b = batch{proposals: b.proposals[:0], messages: b.messages[:0], finished: b.finished[:0], calls: b.calls[:0], reads: b.reads[:0]}
}

// inbox is where others leave what the loop is to do.
type inbox struct {
	wake chan struct{}
	// What is proposed and has not ended.
	proposals, proposalBytes atomic.Int64
	reads                    atomic.Int64 // calls of Confirm that wait

	mu     sync.Mutex
	closed error
	next   batch
}

func (in *inbox) kick() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// take swaps what has come in for an empty batch.
func (in *inbox) take(empty batch) (full batch) {
	in.mu.Lock()
	defer in.mu.Unlock()
	full, in.next = in.next, empty
	return full
}

// enqueue takes the proposal, or returns why not.
func (in *inbox) enqueue(p proposal) error {
	if in.proposals.Add(1) > maxProposals || in.proposalBytes.Add(int64(p.size)) > maxProposalBytes {
		in.ended(p.size)
		return storage.ErrBusy
	}
	in.mu.Lock()
	err := in.closed
	if err == nil {
		in.next.proposals = append(in.next.proposals, p)
	}
	in.mu.Unlock()
	if err != nil {
		in.ended(p.size)
		return err
	}
	in.kick()
	return nil
}

// ended gives back what enqueue counted.
func (in *inbox) ended(size int) {
	in.proposals.Add(-1)
	in.proposalBytes.Add(-int64(size))
}

// hear takes the messages of one frame, and reports whether there was room.
func (in *inbox) hear(ms []message, bytes int) bool {
	in.mu.Lock()
	b := &in.next
	fits := in.closed == nil && (len(b.messages) == 0 || len(b.messages)+len(ms) <= maxMessages && b.messageBytes+bytes <= maxMessageBytes)
	if fits {
		b.messages = append(b.messages, ms...)
		b.messageBytes += bytes
	}
	in.mu.Unlock()
	if fits {
		in.kick()
	}
	return fits
}

// finish brings work back from the writer, which has a bounded amount of it.
func (in *inbox) finish(ws []*work) {
	in.mu.Lock()
	in.next.finished = append(in.next.finished, ws...)
	in.mu.Unlock()
	in.kick()
}

// order makes the loop call fn, or returns why not.
func (in *inbox) order(fn func()) error {
	in.mu.Lock()
	err := in.closed
	if err == nil && len(in.next.calls) >= maxCalls {
		err = storage.ErrBusy
	}
	if err == nil {
		in.next.calls = append(in.next.calls, fn)
	}
	in.mu.Unlock()
	if err == nil {
		in.kick()
	}
	return err
}

func (in *inbox) close(err error) {
	in.mu.Lock()
	if in.closed == nil {
		in.closed = err
	}
	in.mu.Unlock()
	in.kick()
}

// end answers a proposal.
func (e *Engine) end(p pending, err error) {
	e.in.ended(p.size)
	if err == nil {
		e.commits.add(time.Since(e.started) - p.since)
	}
	p.done(err)
}
