package replica

import (
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.etcd.io/raft/v3"

	"github.com/rouse-im/rouse/storage"
)

// confirm asks whether a node leads a group in a term; the channel gets all answers.
func (n *node) confirm(group uint16, term uint64) <-chan error {
	answers := make(chan error, 2)
	n.engine.Confirm(group, term, func(err error) { answers <- err })
	return answers
}

// three founds a group on three nodes, and returns its leader and his term.
func three(t *testing.T, w *world, group uint16) (*node, uint64) {
	t.Helper()
	found(t, w.nodes[1], group)
	w.leader(group)
	w.grow(3, group)
	l := w.leader(group)
	term, _ := l.engine.Leads(group)
	return l, term
}

func (n *node) rounds() float64 { return testutil.ToFloat64(n.engine.metrics.rounds) }

// A leader that is cut off confirms nothing, whatever it still believes: neither
// what it is asked then, nor what it had asked before. Who leads now does.
func TestStaleLeaderConfirmsNothing(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		old, term := three(t, w, 1)
		w.isolate(old.id, true)
		answers := []<-chan error{old.confirm(1, term)}
		w.wait("another leader", func() bool {
			if now, ok := old.engine.Leads(1); ok {
				answers = append(answers, old.confirm(1, now))
			}
			return w.leader(1) != old
		})
		now := w.leader(1)
		now.mustPut(1, "fresh")
		<-time.After(3 * time.Second)
		for i, c := range answers {
			select {
			case err := <-c:
				if !errors.Is(err, storage.ErrNotLeader) {
					t.Errorf("question %d of %d ended with %v", i, len(answers), err)
				}
			default:
				t.Errorf("question %d of %d has no answer", i, len(answers))
			}
		}
		if len(answers) < 2 {
			t.Error("it did not believe to lead when it was cut off")
		}
		later, _ := now.engine.Leads(1)
		if err := w.answer(now.confirm(1, later)); err != nil {
			t.Errorf("the new leader: %v", err)
		}
		w.isolate(old.id, false)
		for _, c := range []struct {
			n    *node
			term uint64
		}{{old, term}, {now, term}, {old, later}} {
			if err := w.answer(c.n.confirm(1, c.term)); !errors.Is(err, storage.ErrNotLeader) {
				t.Errorf("node %d in term %d: %v", c.n.id, c.term, err)
			}
		}
	})
}

// A quiet leader has its answer after one exchange with one of the others, and
// all that come at once share it; who comes after the question was sent waits
// for the next.
func TestConfirmationsAreShared(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		l, term := three(t, w, 1)
		other := l.id%3 + 1
		w.isolate(other, true)
		w.pass(10 * time.Second)
		began, before := time.Now(), l.rounds()
		var answers []<-chan error
		ask := func() { // all in one pass of the loop
			gate := make(chan struct{})
			_ = l.engine.in.order(func() { <-gate })
			synctest.Wait()
			for range 500 {
				answers = append(answers, l.confirm(1, term))
			}
			close(gate)
			synctest.Wait()
		}
		ask()
		ask()
		for _, c := range answers[:500] {
			if err := w.answer(c); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 2*w.latency {
			t.Errorf("answered after %v, want one exchange", took)
		}
		if len(answers[500]) > 0 {
			t.Error("who came after the question has its answer")
		}
		for _, c := range answers[500:] {
			if err := w.answer(c); err != nil {
				t.Fatal(err)
			}
		}
		if took, n := time.Since(began), l.rounds()-before; took != 4*w.latency || n != 2 {
			t.Errorf("1000 questions: %v, %v rounds", took, n)
		}
		if n := l.engine.in.reads.Load(); n != 0 {
			t.Errorf("%d are taken for waiting", n)
		}
	})
}

// An answer waits until what was committed when the voters were asked can be
// read; one that was for a former leadership is none.
func TestConfirmedIsReadable(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		n, term := three(t, w, 1)
		answer := make(chan error, 1)
		loop, g := n.engine.loop, n.engine.group(1)
		if err := n.engine.ask(func() error {
			n.engine.in.reads.Add(1)
			g.reads = reads{asked: []func(error){func(err error) {
				if !n.has(1, "k") {
					err = errNotThere
				}
				answer <- err
			}}, first: 1, round: 1}
			loop.affirm(g, raft.ReadState{Index: g.applied.index + 1, RequestCtx: binary.BigEndian.AppendUint64(nil, 1)})
			loop.readable()
			if len(answer) > 0 {
				t.Error("answered before it is applied")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		n.mustPut(1, "k")
		if err := w.answer(answer); err != nil {
			t.Error(err)
		}
		if err := n.engine.ask(func() error {
			n.engine.in.reads.Add(1)
			loop.confirm(&reading{g, term - 1, func(err error) { answer <- err }})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := w.answer(answer); !errors.Is(err, storage.ErrNotLeader) {
			t.Errorf("asked of a former term: %v", err)
		}
	})
}

var errNotThere = errors.New("what was committed cannot be read")

// A lost leadership ends all that wait, at once: the next leader has to be asked.
func TestLostLeadershipEndsQuestions(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		l, term := three(t, w, 1)
		// It hears the others and is not heard: it cannot be answered, and learns of
		// the new leader.
		w.mu.Lock()
		for id := range w.nodes {
			w.cut[[2]uint64{l.id, id}] = true
		}
		w.mu.Unlock()
		first := l.confirm(1, term)
		synctest.Wait()
		second := l.confirm(1, term)
		w.wait("another leader", func() bool { return w.leader(1) != l })
		w.wait("the old one knows", func() bool { _, leads := l.engine.Leads(1); return !leads })
		synctest.Wait()
		for _, c := range []<-chan error{first, second} {
			if err := <-c; !errors.Is(err, storage.ErrNotLeader) {
				t.Errorf("ended with %v", err)
			}
		}
		w.isolate(l.id, false)
	})
}

// The only voter answers within the call and asks nobody; from the moment that
// others vote, they are asked.
func TestOneVoterIsSure(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		one := w.nodes[1]
		found(t, one, 1)
		w.leader(1)
		term, _ := one.engine.Leads(1)
		if c := one.confirm(1, term); len(c) != 1 || <-c != nil || !one.engine.Alone(1, term) || one.rounds() != 0 {
			t.Error("the only voter is not sure")
		}
		if c := one.confirm(1, term-1); len(c) != 1 || !errors.Is(<-c, storage.ErrNotLeader) || one.engine.Alone(1, term-1) {
			t.Error("it is sure of another term")
		}
		if c := one.confirm(2, 1); len(c) != 1 || !errors.Is(<-c, storage.ErrNotLeader) || one.engine.Alone(storage.MaxShards+1, 1) {
			t.Error("it is sure of a group that it does not have")
		}
		w.grow(3, 1)
		if one.engine.Alone(1, term) {
			t.Error("it takes itself for the only voter of three")
		}
		if err := w.answer(one.confirm(1, term)); err != nil || one.rounds() != 1 {
			t.Errorf("%v after %v rounds", err, one.rounds())
		}
		// The other way: a question that is under way while the others leave.
		if err := one.change(1, []uint64{1}, []uint64{2, 3}); err != nil {
			t.Fatal(err)
		}
		if err := w.answer(one.confirm(1, term)); err != nil || !one.engine.Alone(1, term) {
			t.Errorf("alone again: %v", err)
		}
	})
}

// A question whose answer is lost with the voters that were to give it is put
// again, to those who vote now.
func TestQuestionOutlivesItsVoters(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		found(t, w.nodes[1], 1)
		one := w.leader(1)
		if err := one.change(1, []uint64{1, 2}, nil); err != nil {
			t.Fatal(err)
		}
		term, _ := one.engine.Leads(1)
		w.mu.Lock()
		w.cut[[2]uint64{2, 1}] = true
		w.mu.Unlock()
		c := one.confirm(1, term)
		synctest.Wait()
		// Raft would need the other's vote to remove it; what is tested is the question.
		if err := one.engine.ask(func() error {
			g := one.engine.group(1)
			g.conf = g.node.ApplyConfChange(Configuration{[]uint64{1}, nil}.from(g.conf))
			one.engine.loop.mark(g)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := w.answer(c); err != nil || time.Since(began) > askAgain*defaultTick {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// Beyond the bound there is an answer at once, and Close leaves none out.
func TestQuestionsAreBounded(t *testing.T) {
	bubble(t, 3, func(t *testing.T, w *world) {
		l, term := three(t, w, 1)
		w.isolate(l.id, true)
		var answers []<-chan error
		for range maxReads {
			answers = append(answers, l.confirm(1, term))
		}
		if c := l.confirm(1, term); len(c) != 1 || !errors.Is(<-c, storage.ErrBusy) {
			t.Error("one beyond the bound waits")
		}
		w.mu.Lock()
		l.down = true
		w.mu.Unlock()
		w.close(l)
		for i, c := range answers {
			if len(c) != 1 || !errors.Is(<-c, storage.ErrClosed) {
				t.Fatalf("question %d of %d was not told of the end", i, len(answers))
			}
		}
		if c := l.confirm(1, term); len(c) != 1 || <-c == nil {
			t.Error("a closed engine confirms")
		}
		w.isolate(l.id, false)
	})
}
