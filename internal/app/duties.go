package app

import (
	"context"
	"sync"
)

// duties hands on which groups this node leads, and since which term: replicas
// say so from a loop that must not wait, and taking up or laying down what
// follows may take a while. Of the states of a group that come faster than they
// are handed on only the last is; a term that came and went is not missed.
type duties struct {
	take func(group uint16, term uint64)
	lay  func(group uint16, term uint64)

	mu    sync.Mutex
	led   []uint64 // by group: term of the leadership; 0 = led elsewhere
	dirty []uint16 // groups that changed, each once
	marks []bool
	wake  chan struct{}
}

// newDuties knows groups 0..shards.
func newDuties(shards uint16) *duties {
	n := int(shards) + 1
	return &duties{led: make([]uint64, n), marks: make([]bool, n), wake: make(chan struct{}, 1)}
}

// lead says that this node leads the group in the term. It does not block.
func (d *duties) lead(group uint16, term uint64) { d.set(group, func(uint64) uint64 { return term }) }

// lose says that the leadership of the term is gone. It does not block.
func (d *duties) lose(group uint16, term uint64) {
	d.set(group, func(now uint64) uint64 {
		if now > term {
			return now // of a later term already
		}
		return 0
	})
}

func (d *duties) set(group uint16, to func(uint64) uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.led[group] = to(d.led[group])
	if d.marks[group] {
		return
	}
	d.marks[group] = true
	d.dirty = append(d.dirty, group)
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// next is a group that changed and the term in which it is led now; false = none.
func (d *duties) next() (group uint16, term uint64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.dirty) == 0 {
		return 0, 0, false
	}
	group = d.dirty[0]
	d.dirty = d.dirty[1:]
	d.marks[group] = false
	return group, d.led[group], true
}

// run hands on changes until ctx ends. take and lay take turns, for each group
// in the order of its terms.
func (d *duties) run(ctx context.Context) {
	taken := make([]uint64, len(d.led))
	for {
		group, term, ok := d.next()
		if !ok {
			select {
			case <-d.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if taken[group] == term {
			continue
		}
		if taken[group] != 0 {
			d.lay(group, taken[group])
		}
		if term != 0 {
			d.take(group, term)
		}
		taken[group] = term
	}
}
