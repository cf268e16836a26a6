package demo

import (
	"context"
	"fmt"
	"sync"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// lookahead bounds the lines that are under way or wait for an earlier one.
const lookahead = 512

// replay plays the lines as fast as the engine takes them. Two lines about one
// user happen in their order: the later one starts when the earlier one has
// been answered. Lines that stand alone wait for all before them.
type replay struct {
	w        *world
	progress func(done int)

	room chan struct{}
	last map[string]chan struct{} // by user: closed when his last line was answered
	work sync.WaitGroup

	mu       sync.Mutex
	done     int
	verdicts []rousev1.ItemStatus // by line
	fault    error                // of the first line that failed
}

func (r *replay) run(ctx context.Context, lines []Line) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer r.work.Wait()
	for i := range lines {
		l := &lines[i]
		if l.alone() {
			r.work.Wait()
		}
		if err := r.failed(ctx); err != nil {
			return err
		}
		r.room <- struct{}{}
		ended := make(chan struct{})
		earlier := r.order(l, ended)
		r.work.Go(func() {
			defer func() { close(ended); <-r.room }()
			for _, e := range earlier {
				<-e
			}
			status, err := r.w.act(ctx, l)
			if err != nil {
				cancel()
			}
			r.answered(i, l, status, err)
		})
		if l.alone() {
			r.work.Wait()
		}
	}
	r.work.Wait()
	return r.failed(ctx)
}

// order notes a line as the last one of its users and answers what it follows.
func (r *replay) order(l *Line, ended chan struct{}) (earlier []chan struct{}) {
	for _, u := range l.users() {
		if before, ok := r.last[u]; ok {
			earlier = append(earlier, before)
		}
		r.last[u] = ended
	}
	return earlier
}

func (r *replay) answered(i int, l *Line, status rousev1.ItemStatus, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verdicts[i] = status
	if err != nil && r.fault == nil {
		r.fault = fmt.Errorf("line %d of the day (%s): %w", i+1, l.Do, err)
	}
	r.done++
	r.progress(r.done)
}

func (r *replay) failed(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil {
		return r.fault
	}
	return context.Cause(ctx)
}
