package replica

import (
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
)

// watchdog looks after the disk: heartbeats pass a synced write that hangs, so that
// without it a node would lead groups whose entries it cannot write. It looks
// only while a write is under way.
type watchdog struct {
	e     *Engine
	began atomic.Int64 // of the synced write in progress, on the engine's clock, and 1; 0 = none
	look  *time.Timer
}

func newWatchdog(e *Engine) *watchdog {
	w := &watchdog{e: e}
	w.look = time.AfterFunc(time.Hour, w.watch)
	w.look.Stop()
	return w
}

// timed does what waits for the disk, one at a time.
func (w *watchdog) timed(fn func() error) error {
	w.began.Store(int64(time.Since(w.e.started)) + 1)
	w.look.Reset(w.e.o.SlowDisk / 4)
	defer func() {
		w.began.Store(0)
		w.look.Stop()
	}()
	return fn()
}

// watch may come a little after the write, or look at the next one.
func (w *watchdog) watch() {
	began, e := w.began.Load(), w.e
	if began == 0 || e.closing.Load() {
		return
	}
	// The fourth look comes after SlowDisk to the nanosecond, if timers are exact: one
	// missing would leave it to the fifth, a quarter later.
	switch took := time.Since(e.started) - time.Duration(began-1); {
	case took >= e.o.DeadDisk:
		e.fail(fmt.Errorf("a synced write has taken %v; the disk is given up", took.Round(time.Millisecond)))
		return
	case took >= e.o.SlowDisk:
		e.log.Warn("replica: the disk is slow, leaderships are given away", "took", took)
		_ = e.in.order(e.loop.giveAway) // full: the next look tries again
	}
	w.look.Reset(e.o.SlowDisk / 4)
}

// giveAway hands each group to the voter that has most of its log.
func (l *loop) giveAway() {
	for _, g := range l.groups {
		if g.state != raft.StateLeader {
			continue
		}
		if heir := l.heir(g); heir != raft.None {
			g.node.TransferLeader(heir) // in a hurry: it counts as lost
			l.mark(g)
		}
	}
}
