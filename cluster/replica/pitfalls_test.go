package replica

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/storage"
)

// TestChangeThatRaftEmpties: a change proposed while Raft still sees another one
// pending becomes an empty entry; it is noticed, and proposed again.
func TestChangeThatRaftEmpties(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		one := w.nodes[1]
		found(t, one, 1)
		w.leader(1)
		answer := make(chan error, 1)
		// The first is of nobody that the engine knows, so it cannot wait for it.
		err := one.engine.ask(func() error {
			g := one.engine.group(1)
			err := g.node.ProposeConfChange(Configuration{[]uint64{1}, []uint64{2}}.from(g.conf))
			g.change = &change{want: Configuration{[]uint64{1}, []uint64{2, 3}}, done: func(err error) { answer <- err }}
			one.engine.loop.reconcile(g)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.answer(answer); err != nil {
			t.Fatal(err)
		}
		if s := one.status(1); !slices.Equal(s.Learners, []uint64{2, 3}) {
			t.Errorf("status %+v", s)
		}
	})
}

// TestOrderOfTheAppendThread: what Raft overwrites in the log is gone from the
// disk, too, when entries of two leaders are written in one go.
func TestOrderOfTheAppendThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, 1)
		defer w.end()
		e := w.nodes[1].engine
		records := func(from, to, term uint64) (es []*pb.Entry) {
			for i := from; i <= to; i++ {
				es = append(es, &pb.Entry{Index: new(i), Term: new(term), Data: storage.AppendEntry(nil, entry(1, fmt.Sprint(term, "-", i)))})
			}
			return es
		}
		err := e.ask(func() error {
			g := e.loop.blank(1)
			g.conf = &pb.ConfState{Voters: []uint64{1, 2, 3}}
			for _, es := range [][]*pb.Entry{records(1, 6, 1), records(3, 5, 2), records(5, 5, 3)} {
				e.loop.write(g, &pb.Message{Entries: es})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var terms []uint64
		_ = w.nodes[1].store.Logs(1, 0, func(index uint64, b []byte) error {
			var x entryBox
			err := readRecord(&x, index, b)
			terms = append(terms, index*10+x.term)
			return err
		})
		if !slices.Equal(terms, []uint64{11, 21, 32, 42, 53}) {
			t.Errorf("records and their terms: %v", terms)
		}
	})
}

// TestWriterDoesNotOvertakeTheLoop: what the loop applies is in a batch of its
// own; until that is committed the writer must not apply what follows.
func TestWriterDoesNotOvertakeTheLoop(t *testing.T) {
	g := &group{state: raft.StateLeader, conf: &pb.ConfState{Voters: []uint64{1}}, confAt: 5, applied: position{5, 1}}
	for name, c := range map[string]struct {
		spoil func()
		want  bool
	}{
		"alone":         {func() {}, true},
		"unsettled":     {func() { g.unsettled = true }, false},
		"change in log": {func() { g.unsettled, g.confAt = false, 6 }, false},
		"no leader":     {func() { g.confAt, g.state = 5, raft.StateFollower }, false},
		"joint": {func() {
			g.state, g.conf = raft.StateLeader, &pb.ConfState{Voters: []uint64{1}, VotersOutgoing: []uint64{1, 2}}
		}, false},
		"another is voter": {func() { g.conf = &pb.ConfState{Voters: []uint64{2}} }, false},
	} {
		*g = group{state: raft.StateLeader, conf: &pb.ConfState{Voters: []uint64{1}}, confAt: 5, applied: position{5, 1}}
		if c.spoil(); g.soleVoter(1) != c.want {
			t.Errorf("%s: sole voter %v", name, !c.want)
		}
	}
}

// TestHeartbeatOfAFormerLife: a leader that remembers a replica which this node
// had before must not make Raft commit what is not there.
func TestHeartbeatOfAFormerLife(t *testing.T) {
	bubble(t, 1, func(t *testing.T, w *world) {
		n := w.nodes[1]
		frame := appendMessage([]byte{frameMessages}, 3, &pb.Message{Type: pb.MsgHeartbeat.Enum(), Term: new(uint64(7)), Commit: new(uint64(900))})
		n.engine.Receive(2, frame)
		synctest.Wait()
		if s := n.status(3); s.Commit != 0 || s.Term != 7 {
			t.Errorf("status %+v", s)
		}
	})
}

// TestCommitLagsBehindApplied: the hard state on disk may name a commit below
// what is applied.
func TestCommitLagsBehindApplied(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		for i := range 20 {
			l.mustPut(1, fmt.Sprint(i))
		}
		w.same(1)
		b := l.store.NewBatch()
		b.SetState(1, storage.HardState, hardState{term: 99, commit: 1}.append(nil))
		if err := b.Commit(true); err != nil {
			t.Fatal(err)
		}
		w.crash(l.id, 100)
		n := w.restart(l.id)
		w.same(1)
		if !n.has(1, "19") {
			t.Error("an entry is lost")
		}
	})
}

// TestLogIsCut: the log stays bounded, on disk and in memory, and a follower that
// was away for longer than it reaches gets the group whole.
func TestLogIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, 3, 1, limits{entries: 100, bytes: 1 << 20, trailingEntries: 50, trailingBytes: 1 << 19, most: 2 << 20, alone: 4 << 10})
		defer w.end()
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		away := 1 + l.id%3
		w.crash(away, 0)
		l = w.leader(1)
		for i := range 400 {
			l.mustPut(1, fmt.Sprint(i))
		}
		w.pass(time.Second)
		s := l.status(1)
		if kept := s.Last - s.First + 1; kept > 110 || kept < 50 || records(t, l, 1) > 110 {
			t.Errorf("log %d..%d, %d records", s.First, s.Last, records(t, l, 1))
		}
		w.restart(away)
		w.same(1)
		if !w.nodes[away].has(1, "0") || !w.nodes[away].has(1, "399") {
			t.Error("the one that was away lacks entries")
		}
	})
}

// TestLogsShareABudget: many groups that are written to while a node is away do
// not each keep as much of their logs as one may.
func TestLogsShareABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bounds := defaultLimits
		bounds.total = 2 << 20
		w := newWorldOf(t, 3, 1, bounds)
		defer w.end()
		groups := []uint16{1, 2, 3, 4}
		found(t, w.nodes[1], groups...)
		for _, g := range groups {
			w.leader(g)
		}
		w.grow(3, groups...)
		w.crash(3, 0)
		text := strings.Repeat("x", 16<<10)
		for i := range 100 {
			for _, g := range groups {
				w.leader(g).mustPut(g, fmt.Sprint(i, text))
			}
		}
		w.pass(time.Second)
		for _, n := range []*node{w.nodes[1], w.nodes[2]} {
			sum := 0
			err := n.engine.ask(func() error {
				for _, g := range n.engine.loop.groups {
					sum += g.log.bytes
				}
				if sum != n.engine.loop.logged {
					t.Errorf("node %d: logs take %d bytes, counted are %d", n.id, sum, n.engine.loop.logged)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if sum > 2*bounds.total || sum < bounds.total/8 {
				t.Errorf("node %d keeps %d bytes of logs, at most %d", n.id, sum, 2*bounds.total)
			}
		}
		w.restart(3)
		for _, g := range groups {
			w.same(g)
		}
	})
}

// TestJointConfigurationThatNobodyLeaves: when Raft does not leave a joint
// configuration by itself the leader does.
func TestJointConfigurationThatNobodyLeaves(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		w.leader(1)
		w.grow(3, 1)
		l := w.leader(1)
		others := slices.DeleteFunc([]uint64{1, 2, 3}, func(id uint64) bool { return id == l.id })
		err := l.engine.ask(func() error {
			g := l.engine.group(1)
			cc := Configuration{[]uint64{l.id}, others}.from(g.conf)
			cc.Transition = pb.ConfChangeTransitionJointExplicit.Enum() // Raft leaves none of these
			l.engine.loop.mark(g)
			return g.node.ProposeConfChange(cc)
		})
		if err != nil {
			t.Fatal(err)
		}
		w.wait("the configuration is joint", func() bool { return len(l.status(1).Outgoing) > 0 })
		w.wait("it is left", func() bool { s := l.status(1); return len(s.Outgoing) == 0 && len(s.Voters) == 1 })
	})
}

// TestGrowthUnderLoad: nothing is lost while a sole voter becomes three voters
// and one again, with the power cut at every stage.
func TestGrowthUnderLoad(t *testing.T) {
	for _, kept := range []int{0, 50, 100} {
		for cut := range 6 {
			t.Run(fmt.Sprintf("kept=%d/cut=%d", kept, cut), func(t *testing.T) {
				bubble(t, 3, func(t *testing.T, w *world) { growUnderLoad(t, w, kept, cut) })
			})
		}
	}
}

func growUnderLoad(t *testing.T, w *world, kept, cut int) {
	c := &chaos{world: w, t: t, groups: []uint16{1}, acked: map[uint16]map[string]bool{1: {}}, ended: map[string]int{}}
	found(t, w.nodes[1], 1)
	w.leader(1)
	stages := []Configuration{
		{[]uint64{1}, []uint64{2, 3}}, {[]uint64{1, 2, 3}, nil}, {[]uint64{1}, []uint64{2}}, {[]uint64{1}, nil},
	}
	for i, want := range stages {
		c.propose(20)
		for _, n := range w.nodes {
			n.engine.Change(1, want, func(error) {}) // whoever leads
		}
		c.propose(20)
		if i == cut || cut >= len(stages) && i == 1 {
			w.pass(time.Duration(cut) * time.Millisecond)
			c.propose(5)
			w.crash(1, kept)
			c.propose(5)
			w.restart(1)
		}
		w.wait("the stage is reached", func() bool {
			l := w.leader(1)
			c.propose(1)
			if want.is(l.confState(1)) {
				return true
			}
			l.engine.Change(1, want, func(error) {})
			return false
		})
		if l := w.leader(1); !slices.Contains(want.Voters, l.id) {
			w.wait("a voter leads", func() bool { return slices.Contains(want.Voters, w.leader(1).id) })
		}
	}
	c.check()
}

func (n *node) confState(group uint16) (s *pb.ConfState) {
	_ = n.engine.ask(func() error { s = n.engine.group(group).conf; return nil })
	return s
}

// TestDiskHangs: a synced write that hangs costs a node its leaderships, and in
// the end its process.
func TestDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, 1)
		defer w.end()
		var hang atomic.Pointer[chan struct{}]
		slow := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if c := hang.Load(); c != nil && op.Kind == errorfs.OpFileSyncData {
				<-*c
			}
			return nil
		}))
		n := w.startOn(3, slow)
		found(t, n, 1)
		w.leader(1)
		if err := n.change(1, []uint64{3}, []uint64{1, 2}); err != nil {
			t.Fatal(err)
		}
		w.wait("learners have the log", func() bool { return n.caughtUp(1) })
		if err := n.change(1, []uint64{1, 2, 3}, nil); err != nil {
			t.Fatal(err)
		}
		c := make(chan struct{})
		hang.Store(&c)
		answer := make(chan error, 1)
		n.engine.Propose(1, 0, entry(1, "stuck"), func(err error) { answer <- err })
		w.pass(900 * time.Millisecond)
		if _, ok := n.engine.Leads(1); !ok {
			t.Error("the leadership is gone before the disk is called slow")
		}
		w.pass(time.Second)
		if l := w.leader(1); l == n {
			t.Error("a node leads whose disk hangs")
		}
		w.pass(20 * time.Second)
		n.mu.Lock()
		died := n.died
		n.mu.Unlock()
		if died == nil {
			t.Error("the process was not ended")
		}
		hang.Store(nil)
		close(c)
	})
}

// TestSlowSyncIsNoticed: a synced write that takes a little longer than is called
// slow costs a node its leaderships, whenever it began.
func TestSlowSyncIsNoticed(t *testing.T) {
	for _, c := range []struct {
		takes time.Duration
		gone  bool
	}{{900 * time.Millisecond, false}, {1100 * time.Millisecond, true}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 2, 1)
			defer w.end()
			var slow atomic.Int64
			n := w.startOn(3, errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if d := time.Duration(slow.Load()); d > 0 && op.Kind == errorfs.OpFileSyncData {
					<-time.After(d)
				}
				return nil
			})))
			found(t, n, 1)
			w.leader(1)
			if err := n.change(1, []uint64{3}, []uint64{1, 2}); err != nil {
				t.Fatal(err)
			}
			w.wait("learners have the log", func() bool { return n.caughtUp(1) })
			if err := n.change(1, []uint64{1, 2, 3}, nil); err != nil {
				t.Fatal(err)
			}
			slow.Store(int64(c.takes))
			n.engine.Propose(1, 0, entry(1, "late"), func(error) {})
			w.pass(c.takes - time.Millisecond)
			slow.Store(0)
			if l := w.leader(1); (l != n) != c.gone {
				t.Errorf("a synced write takes %v; the leadership is gone: %v, want %v", c.takes, l != n, c.gone)
			}
		})
	}
}
