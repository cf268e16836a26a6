package mailbox

import "sync"

// chunkLen trades the cost of a chunk (8 slots = 144 B) that an actor with one
// message holds for a moment against chunk hops in long queues.
const chunkLen = 8

type chunk struct {
	slots [chunkLen]any
	next  *chunk
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// queue is a FIFO in pooled chunks: an empty one holds no memory, and a long
// one gives back what it has passed.
type queue struct {
	head, tail *chunk
	// from and to are the first used slot of head and the first free one of tail.
	from, to uint8
	n        int32
}

func (q *queue) push(m any) {
	if q.tail == nil || q.to == chunkLen {
		c := chunks.Get().(*chunk)
		if q.tail == nil {
			q.head = c
		} else {
			q.tail.next = c
		}
		q.tail, q.to = c, 0
	}
	q.tail.slots[q.to] = m
	q.to++
	q.n++
}

// pop must not be called on an empty queue.
func (q *queue) pop() any {
	c := q.head
	m := c.slots[q.from]
	c.slots[q.from] = nil
	q.from++
	q.n--
	if q.n == 0 || q.from == chunkLen {
		q.head, q.from = c.next, 0
		if q.n == 0 {
			q.tail, q.to = nil, 0
		}
		c.next = nil
		chunks.Put(c)
	}
	return m
}
