package lane

// heap is a binary heap of items that know their place in it, so that any of
// them can be removed. place holds the index + 1; 0 = not in the heap.
type heap[T any] struct {
	items  []T
	before func(a, b T) bool
	place  func(T) *int
}

// keptCap is the length up to which an emptied slice or map keeps its memory.
const keptCap = 1024

func (h *heap[T]) len() int { return len(h.items) }

// top must not be called on an empty heap.
func (h *heap[T]) top() T { return h.items[0] }

func (h *heap[T]) push(x T) {
	h.items = append(h.items, x)
	*h.place(x) = len(h.items)
	h.up(len(h.items) - 1)
}

// remove takes x out; one that is not in the heap is left alone.
func (h *heap[T]) remove(x T) {
	i := *h.place(x) - 1
	if i < 0 {
		return
	}
	last := len(h.items) - 1
	h.swap(i, last)
	*h.place(x) = 0
	var none T
	h.items[last] = none
	h.items = h.items[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
	if last == 0 && cap(h.items) > keptCap {
		h.items = nil
	}
}

func (h *heap[T]) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.place(h.items[i]) = i + 1
	*h.place(h.items[j]) = j + 1
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.before(h.items[i], h.items[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *heap[T]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			return
		}
		if right := child + 1; right < len(h.items) && h.before(h.items[right], h.items[child]) {
			child = right
		}
		if !h.before(h.items[child], h.items[i]) {
			return
		}
		h.swap(i, child)
		i = child
	}
}
