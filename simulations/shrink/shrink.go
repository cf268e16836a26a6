// Package shrink makes the script of a failed run small: what can be left out
// without the failure going away is left out, users and faults first, then
// single steps, then recipients.
package shrink

import (
	"cmp"
	"context"
	"slices"

	"github.com/rouse-im/rouse/simulations"
)

// Options of a search. Zero fields have a default.
type Options struct {
	// Tries bounds the runs; 2000.
	Tries int
	// Progress is told of each smaller script, nil = nobody.
	Progress func(steps, tries int)
}

// Result of a search.
type Result struct {
	Steps []simulations.Step
	// Tries that were made. Minimal: no single step can be left out; it is false
	// when the tries or the time ran out.
	Tries   int
	Minimal bool
	// Flaky: the whole script did not fail when it was tried again.
	Flaky bool
}

// Script made as small as it gets. fails runs it and tells whether the same
// failure came; it must not keep or change the steps. When ctx ends, the
// smallest script so far is returned.
func Script(ctx context.Context, steps []simulations.Step, fails func([]simulations.Step) bool, o Options) Result {
	s := &search{ctx: ctx, fails: fails, o: o, best: slices.Clone(steps)}
	s.o.Tries = cmp.Or(o.Tries, 2000)
	if !s.try(s.best) {
		return Result{Steps: s.best, Tries: s.tries, Flaky: true}
	}
	s.by(ofFault)
	s.by(ofUser)
	for before := -1; before != len(s.best) && !s.spent(); {
		before = len(s.best)
		s.by(func(_ simulations.Step, i int) (int, bool) { return i, true })
	}
	s.recipients()
	return Result{Steps: s.best, Tries: s.tries, Minimal: !s.spent()}
}

type search struct {
	ctx   context.Context
	fails func([]simulations.Step) bool
	o     Options
	best  []simulations.Step
	tries int
	out   bool // a try was refused
}

func (s *search) spent() bool { return s.out || s.ctx.Err() != nil }

func (s *search) try(steps []simulations.Step) bool {
	if s.tries >= s.o.Tries || s.ctx.Err() != nil {
		s.out = true
		return false
	}
	s.tries++
	return s.fails(slices.Clone(steps))
}

// take a smaller script if it still fails.
func (s *search) take(steps []simulations.Step) bool {
	if len(steps) == 0 || !s.try(steps) {
		return false
	}
	s.best = steps
	if s.o.Progress != nil {
		s.o.Progress(len(steps), s.tries)
	}
	return true
}

// ofFault puts each fault into a part of its own; other steps stay.
func ofFault(step simulations.Step, i int) (int, bool) { return i, step.Fault != nil }

// ofUser puts all that is about one user alone into one part.
func ofUser(step simulations.Step, _ int) (int, bool) {
	if step.Delivery == nil {
		return 0, false
	}
	users := step.Delivery.Event.Users()
	if len(users) != 1 {
		return 0, false
	}
	h := 0
	for _, b := range []byte(users[0]) {
		h = (h*31 + int(b)) & 0x7fffffff
	}
	return h, true
}

// by leaves out parts: halves of them first, then quarters, down to single ones
// (delta debugging: Zeller and Hildebrandt, 2002).
func (s *search) by(part func(simulations.Step, int) (int, bool)) {
	parts := s.parts(part)
	for n := 2; len(parts) > 0 && !s.spent(); {
		size := max(1, (len(parts)+n-1)/n)
		smaller := false
		for from := 0; from < len(parts); from += size {
			gone := map[int]bool{}
			for _, p := range parts[from:min(from+size, len(parts))] {
				gone[p] = true
			}
			var rest []simulations.Step
			for i, step := range s.best {
				if p, ok := part(step, i); !ok || !gone[p] {
					rest = append(rest, step)
				}
			}
			if s.take(rest) {
				smaller = true
				break
			}
		}
		switch {
		case smaller:
			// Parts by position have moved.
			parts, n = s.parts(part), max(2, n-1)
		case size == 1:
			return
		default:
			n *= 2
		}
	}
}

// parts in the order of their first step.
func (s *search) parts(part func(simulations.Step, int) (int, bool)) (all []int) {
	seen := map[int]bool{}
	for i, step := range s.best {
		if p, ok := part(step, i); ok && !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	return all
}

// recipients who play no part are left out, half of those that are left at a time.
func (s *search) recipients() {
	for i := range s.best {
		d := s.best[i].Delivery
		if d == nil || len(d.Event.To) < 2 {
			continue
		}
		for size := len(d.Event.To) / 2; size > 0 && !s.spent(); {
			to := s.best[i].Delivery.Event.To
			smaller := false
			for from := 0; from < len(to) && len(to) > 1; from += size {
				rest := slices.Concat(to[:from], to[min(from+size, len(to)):])
				if len(rest) > 0 && s.take(with(s.best, i, rest)) {
					smaller = true
					break
				}
			}
			if !smaller {
				size /= 2
			}
			size = min(size, len(s.best[i].Delivery.Event.To)-1)
		}
	}
}

// with other recipients of one message; the former script stays as it is.
func with(steps []simulations.Step, i int, to []string) []simulations.Step {
	steps = slices.Clone(steps)
	d, e := *steps[i].Delivery, *steps[i].Delivery.Event
	e.To = to
	d.Event = &e
	steps[i].Delivery = &d
	return steps
}
