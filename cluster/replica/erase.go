package replica

import (
	"context"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/storage"
)

const (
	// eraseAfter lies between an entry that erases a user and the replica's work to
	// have his bytes leave the disk, so that other replicas have the entry and
	// several erasures are worked on at once.
	eraseAfter = 30 * time.Second
	// eraseAgain lies between attempts to cut a log that could not be cut yet.
	eraseAgain = 5 * time.Second
	// maxErased bounds the deletions of a group that wait; beyond, all tables of the
	// group are rewritten.
	maxErased = 4096
)

// eraser has the bytes of erased users leave this node's disk: the records of the
// log that hold them, and what their deletion covers in the tables. Each replica
// does that for itself, at some distance from applying.
type eraser struct {
	mu      sync.Mutex
	waiting map[uint16]*erasure // by group
	wake    chan struct{}
}

// erasure is what waits of a group.
type erasure struct {
	upTo    uint64 // last entry that erases; the log is cut up to it
	deleted []storage.Mutation
	all     bool // deleted was too much
	due     time.Time
}

func newEraser() *eraser {
	return &eraser{waiting: map[uint16]*erasure{}, wake: make(chan struct{}, 1)}
}

// add takes note of an entry, which is applied or will be. It does not block.
func (r *eraser) add(group uint16, e *pb.Entry) {
	deleted, err := storage.Deletions(e.GetData())
	if err != nil {
		return // it is refused where it is applied
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.waiting[group]
	if x == nil {
		x = &erasure{due: time.Now().Add(eraseAfter)}
		r.waiting[group] = x
	}
	x.upTo = max(x.upTo, e.GetIndex())
	if x.all = x.all || len(x.deleted)+len(deleted) > maxErased; x.all {
		x.deleted = nil
	} else {
		x.deleted = append(x.deleted, deleted...)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// found takes note of what a log that was read holds: the work may not have been
// done before the last end.
func (r *eraser) found(group uint16, records []*pb.Entry) {
	for _, e := range records {
		if isData(e) && storage.Erases(e.GetData()) {
			r.add(group, e)
		}
	}
}

// next is a group whose time has come, or how long there is none; without any
// wait is 0.
func (r *eraser) next(now time.Time) (group uint16, x *erasure, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, e := range r.waiting {
		left := e.due.Sub(now)
		if left <= 0 {
			delete(r.waiting, id)
			return id, e, 0
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	return 0, nil, wait
}

// again puts back what could not be done yet.
func (r *eraser) again(group uint16, x *erasure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x.due = time.Now().Add(eraseAgain)
	if newer := r.waiting[group]; newer != nil {
		x.upTo = max(x.upTo, newer.upTo)
		x.all = x.all || newer.all || len(x.deleted)+len(newer.deleted) > maxErased
		x.deleted = append(x.deleted, newer.deleted...)
	}
	if x.all {
		x.deleted = nil
	}
	r.waiting[group] = x
}

// erase works until the engine is closed.
func (e *Engine) erase() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-e.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.eraser.wake:
		case <-timer.C:
		}
		for {
			group, x, wait := e.eraser.next(time.Now())
			if x == nil {
				if wait > 0 {
					timer.Reset(wait)
				}
				break
			}
			done, err := e.eraseGroup(ctx, group, x)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				e.log.Error("replica: bytes of erased users stay on disk; it is tried again", "group", group, "error", err)
			}
			if !done {
				e.eraser.again(group, x)
			}
		}
	}
}

// eraseGroup cuts the log of a group and rewrites the tables that hold what was
// deleted; false = not yet.
func (e *Engine) eraseGroup(ctx context.Context, group uint16, x *erasure) (done bool, err error) {
	cut, last := true, false
	err = e.ask(func() error {
		g := e.group(group)
		if g == nil {
			return nil // its keys are gone, and its log
		}
		g.erased = max(g.erased, x.upTo)
		e.loop.truncate(g)
		e.loop.mark(g) // what is in the batch is written
		cut = g.disk.first == 0 || g.disk.first > x.upTo
		last = g.log.last() <= x.upTo
		return nil
	})
	if err != nil {
		return false, err
	}
	if term, leads := e.Leads(group); !cut && leads && last {
		e.Propose(group, term, nothing(group), func(error) {}) // a log keeps its last record: one that holds nothing of anyone
	}
	if !cut {
		return false, nil
	}
	deleted := x.deleted
	if x.all {
		for _, r := range storage.ShardRanges(group) {
			deleted = append(deleted, r.Delete())
		}
	}
	deleted = append(deleted, storage.LogRange(group).Delete())
	if err := e.o.Store.Compact(ctx, deleted); err != nil {
		return false, fmt.Errorf("group %d: %w", group, err)
	}
	return true, nil
}

// nothing changes nothing: it deletes the owner of a token that cannot be.
func nothing(group uint16) []storage.Mutation {
	return []storage.Mutation{{Op: storage.Delete, Key: storage.AppendTokenKey(nil, group, storage.Sum{})}}
}
