package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// played is what a day has left behind.
type played struct {
	verdicts []rousev1.ItemStatus          // by line
	outcomes map[string][]*rousev1.Outcome // by user
	seen     *ledger
	icons    map[string]int // by token: the number on the icon
	why      *Why           // nil = there is nothing to explain
	replayed time.Duration
	settled  time.Duration // from the first line to the last outcome
}

// play replays the lines and waits until nothing is under way.
func (w *world) play(ctx context.Context, lines []Line, seen *ledger, progress func(Step)) (*played, error) {
	resolve(lines)
	r := &replay{
		w: w, room: make(chan struct{}, lookahead), last: map[string]chan struct{}{}, verdicts: make([]rousev1.ItemStatus, len(lines)),
		progress: func(done int) { progress(Step{Stage: Replaying, Done: done, Total: len(lines)}) },
	}
	began := time.Now()
	if err := r.run(ctx, lines); err != nil {
		return nil, err
	}
	p := &played{verdicts: r.verdicts, outcomes: map[string][]*rousev1.Outcome{}, seen: seen, icons: map[string]int{}, replayed: time.Since(began)}
	due := receiptsDue{seen: seen, held: held(lines)}
	if err := w.settle(ctx, userNames(lines), due, progress); err != nil {
		return nil, err
	}
	p.settled = time.Since(began)
	progress(Step{Stage: Verifying})
	if err := w.collect(ctx, p, userNames(lines)); err != nil {
		return nil, err
	}
	var err error
	if p.why, err = w.explain(ctx, lines, p); err != nil {
		return nil, err
	}
	for token, id := range seen.last {
		s, err := w.fakes.station(seen.pushes[id].Vendor)
		if err != nil {
			return nil, err
		}
		if s.icon == nil {
			continue
		}
		if number, ok := s.icon(token); ok {
			p.icons[token] = number
		}
	}
	return p, nil
}

// settle asks for the outcomes of all users until they are terminal and all
// receipts are in, or do not become so in time: then the check will tell.
func (w *world) settle(ctx context.Context, users []string, due receiptsDue, progress func(Step)) error {
	deadline := time.Now().Add(settleTimeout)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for open := users; ; {
		lists, err := w.listOutcomes(ctx, open)
		if err != nil {
			return err
		}
		var still []string
		for i, u := range open {
			if slices.ContainsFunc(lists[i], func(o *rousev1.Outcome) bool { return pending(o) || due.missing(o) }) {
				still = append(still, u)
			}
		}
		progress(Step{Stage: Settling, Done: len(users) - len(still), Total: len(users)})
		if open = still; len(open) == 0 || time.Now().After(deadline) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// collect reads what became of everything, once nothing is under way any more.
func (w *world) collect(ctx context.Context, p *played, users []string) error {
	lists, err := w.listOutcomes(ctx, users)
	for i, list := range lists {
		p.outcomes[users[i]] = list
	}
	return err
}

func pending(o *rousev1.Outcome) bool {
	return o.GetStatus() == rousev1.OutcomeStatus_OUTCOME_STATUS_PENDING
}

// maxMessages is what one answer of ListOutcomes holds; the day has fewer
// messages for anybody.
const maxMessages = 1000

// listOutcomes asks for the outcomes of users, 16 at a time.
func (w *world) listOutcomes(ctx context.Context, users []string) ([][]*rousev1.Outcome, error) {
	lists := make([][]*rousev1.Outcome, len(users))
	faults := make([]error, len(users))
	room := make(chan struct{}, 16)
	var work sync.WaitGroup
	for i, u := range users {
		room <- struct{}{}
		work.Go(func() {
			defer func() { <-room }()
			r, err := w.admin.User.ListOutcomes(ctx, &rousev1.ListOutcomesRequest{UserId: u, Limit: maxMessages})
			lists[i], faults[i] = r.GetOutcomes(), err
		})
	}
	work.Wait()
	for i, err := range faults {
		if err != nil {
			return nil, fmt.Errorf("the outcomes of %s: %w", users[i], err)
		}
	}
	return lists, nil
}

// userNames are all users of the day, sorted.
func userNames(lines []Line) []string {
	names := map[string]bool{}
	for i := range lines {
		for _, u := range lines[i].users() {
			names[u] = true
		}
	}
	return slices.SortedFunc(maps.Keys(names), strings.Compare)
}
