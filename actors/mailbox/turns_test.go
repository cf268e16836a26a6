package mailbox

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// All turns run, once each, on few goroutines, which are gone afterwards: the
// bubble would not end with one left.
func TestTurnsShareGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &turns{}
		const n = 5 * keptTurns
		var mu sync.Mutex
		seen, most := make([]int, n), 0
		for i := range n {
			d.Schedule(func() {
				mu.Lock()
				defer mu.Unlock()
				seen[i]++
				most = max(most, d.running())
			})
		}
		synctest.Wait()
		for i, times := range seen {
			if times != 1 {
				t.Fatalf("turn %d ran %d times", i, times)
			}
		}
		if few := max(2*runtime.GOMAXPROCS(0), n/turnsPerWorker); most > few {
			t.Errorf("%d goroutines, want at most %d", most, few)
		}
		if d.running() != 0 || len(d.due) != 0 || cap(d.due) > keptTurns {
			t.Errorf("%d goroutines and %d turns are left", d.running(), len(d.due))
		}
	})
}

// Turns that wait do not keep the others from running.
func TestTurnsThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &turns{}
		gate, ran := make(chan struct{}), make(chan struct{})
		for range 2 * runtime.GOMAXPROCS(0) {
			d.Schedule(func() { <-gate })
		}
		synctest.Wait()
		for range 4 * turnsPerWorker * runtime.GOMAXPROCS(0) {
			d.Schedule(func() {
				select {
				case ran <- struct{}{}:
				default:
				}
			})
		}
		<-ran
		close(gate)
	})
}

// A turn may schedule the next one of its own actor.
func TestTurnsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &turns{}
		var order []int
		var turn func()
		turn = func() {
			order = append(order, len(order))
			if len(order) < 10 {
				d.Schedule(turn)
			}
		}
		d.Schedule(turn)
		synctest.Wait()
		if len(order) != 10 {
			t.Errorf("%d turns, want 10", len(order))
		}
	})
}

func (t *turns) running() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.workers
}
