package route

import "time"

// timer is an entry of the one heap of times: of a request, whose attempt or
// deadline is due, or of a way, whose waiting requests are to be tried again.
type timer struct {
	due   time.Time
	place int // in the heap + 1; 0 = not in it
	req   *request
	way   *way
}

// timers is a binary heap, the earliest first.
type timers []*timer

// set puts t in, or moves it.
func (h *timers) set(t *timer, due time.Time) {
	t.due = due
	if t.place == 0 {
		*h = append(*h, t)
		t.place = len(*h)
	}
	h.fix(t.place - 1)
}

// remove takes t out, if it is in.
func (h *timers) remove(t *timer) {
	i := t.place - 1
	if i < 0 {
		return
	}
	last := len(*h) - 1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	t.place = 0
	if i < last {
		h.fix(i)
	}
}

func (h timers) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

func (h timers) fix(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h[i].due.Before(h[parent].due) {
			break
		}
		h.swap(i, parent)
		i = parent
	}
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if right := child + 1; right < len(h) && h[right].due.Before(h[child].due) {
			child = right
		}
		if !h[child].due.Before(h[i].due) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
