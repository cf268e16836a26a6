package world

import (
	"container/heap"

	"github.com/rouse-im/rouse/simulations"
)

const never = simulations.Offset(1<<62 - 1)

// queue orders devices and groups by their next time; the number of one of them
// breaks ties, so that the order is always the same.
type queue struct {
	w   *World
	ids []uint32
}

func (q *queue) init(w *World) {
	q.w = w
	if q.ids == nil {
		q.ids = make([]uint32, len(w.devices)+len(w.groups))
		for i := range q.ids {
			q.ids[i] = uint32(i)
		}
	}
	heap.Init(q)
}

func (q *queue) at(id uint32) simulations.Offset {
	if i := int(id); i < len(q.w.devices) {
		return q.w.devices[i].next
	}
	return q.w.groups[int(id)-len(q.w.devices)].next
}

// next is whose turn it is.
func (q *queue) next() (simulations.Offset, uint32) { return q.at(q.ids[0]), q.ids[0] }

// fix the first one after its time has changed.
func (q *queue) fix() { heap.Fix(q, 0) }

func (q *queue) Len() int { return len(q.ids) }

func (q *queue) Less(i, j int) bool {
	a, b := q.at(q.ids[i]), q.at(q.ids[j])
	return a < b || a == b && q.ids[i] < q.ids[j]
}

func (q *queue) Swap(i, j int) { q.ids[i], q.ids[j] = q.ids[j], q.ids[i] }

// Push and Pop are there for heap.Interface: nothing comes or goes.
func (q *queue) Push(any) {}

// Pop does nothing.
func (q *queue) Pop() any { return nil }

// What follows by itself.
const (
	followFetched = iota
	followDead
	followRecall
	followDown
	followUp
	followLarge
	followErase
)

type follow struct {
	at   simulations.Offset
	n    uint64 // breaks ties: in the order in which they were planned
	kind int
	// ref is a device, a group, an outage or a user; more depends on the kind.
	ref     uint64
	message uint64
	session uint32
	tokens  uint32
	edit    bool
}

// maxLater bounds what is planned; beyond it, fetches and recalls are left out.
const maxLater = 1 << 20

type later struct {
	all followHeap
	n   uint64
}

type followHeap []follow

func (h followHeap) Len() int { return len(h) }
func (h followHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].n < h[j].n
}
func (h followHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for heap.Interface.
func (h *followHeap) Push(x any) { *h = append(*h, x.(follow)) }

// Pop is for heap.Interface.
func (h *followHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (l *later) add(at simulations.Offset, f follow) {
	if len(l.all) >= maxLater && (f.kind == followFetched || f.kind == followRecall) {
		return
	}
	l.n++
	f.at, f.n = at, l.n
	heap.Push(&l.all, f)
}

// due takes out what is due before or at a time.
func (l *later) due(at simulations.Offset) (follow, bool) {
	if len(l.all) == 0 || l.all[0].at > at {
		return follow{}, false
	}
	return heap.Pop(&l.all).(follow), true
}
