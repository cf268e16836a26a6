package mailbox

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// turnsPerWorker is how many turns may be due for each goroutine before there
// is one more, so that turns that wait for the disk do not hold up the others.
const turnsPerWorker = 16

// keptTurns bounds the memory of turns that have passed.
const keptTurns = 1024

// NewTurns makes a dispatcher for many actors with short turns. The turns that
// are due share a few goroutines, each of which takes one after the other and
// ends when none is due: a goroutine for each turn would grow its stack anew,
// which costs more than a short turn.
func NewTurns() actor.Dispatcher { return &turns{} }

type turns struct {
	mu      sync.Mutex
	due     []func() // from first on; at most one for each actor
	first   int
	workers int
}

// Schedule never blocks.
func (t *turns) Schedule(turn func()) {
	t.mu.Lock()
	t.due = append(t.due, turn)
	start := t.workers < max(2*runtime.GOMAXPROCS(0), (len(t.due)-t.first)/turnsPerWorker)
	if start {
		t.workers++
	}
	t.mu.Unlock()
	if start {
		go t.work()
	}
}

func (t *turns) work() {
	for turn := t.next(); turn != nil; turn = t.next() {
		turn()
	}
}

// next is nil when the worker has to end.
func (t *turns) next() func() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == len(t.due) {
		t.due, t.first = t.due[:0], 0
		if cap(t.due) > keptTurns {
			t.due = nil
		}
		t.workers--
		return nil
	}
	turn := t.due[t.first]
	t.due[t.first] = nil
	t.first++
	if t.first >= keptTurns && 2*t.first >= len(t.due) {
		n := copy(t.due, t.due[t.first:])
		clear(t.due[n:])
		t.due, t.first = t.due[:n], 0
	}
	return turn
}

// Throughput is how many messages an actor may work on before the others get a
// chance at the processor.
func (t *turns) Throughput() int { return 300 }
