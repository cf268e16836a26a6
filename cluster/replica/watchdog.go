package replica

import (
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// watch looks after the disk: heartbeats pass a synced write that hangs, so that
// without it a node would lead groups whose entries it cannot write.
func (e *Engine) watch() {
	ticker := time.NewTicker(e.o.SlowDisk / 4)
	defer ticker.Stop()
	for {
		select {
		case <-e.stopped:
			return
		case <-ticker.C:
		}
		began := e.writer.began.Load()
		if began == 0 {
			continue
		}
		switch took := time.Since(e.started) - time.Duration(began); {
		case took >= e.o.DeadDisk:
			e.fail(fmt.Errorf("a synced write has taken %v; the disk is given up", took.Round(time.Millisecond)))
			return
		case took >= e.o.SlowDisk:
			e.log.Warn("replica: the disk is slow, leaderships are given away", "took", took)
			_ = e.in.order(e.loop.giveAway) // full: the next look tries again
		}
	}
}

// giveAway hands each group to the voter that has most of its log.
func (l *loop) giveAway() {
	for _, g := range l.groups {
		if g.state != raft.StateLeader {
			continue
		}
		best, match := uint64(raft.None), uint64(0)
		g.node.WithProgress(func(id uint64, kind raft.ProgressType, p tracker.Progress) {
			if id != l.e.o.ID && kind == raft.ProgressTypePeer && p.RecentActive && p.Match > match {
				best, match = id, p.Match
			}
		})
		if best != raft.None {
			g.node.TransferLeader(best) // in a hurry: it counts as lost
			l.mark(g)
		}
	}
}
