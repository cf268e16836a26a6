package bubble

import (
	"cmp"
	"hash/maphash"
	"maps"
	"runtime"
	"slices"
	"sync"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/model"
)

// expect tells models what the engine was told, one for each CPU and its part of
// the users. again are the users and messages that were told more than once.
func (e *Engine) expect(h *checker.History) (expected []model.Expectation, lost map[string]string, again map[[2]string]bool) {
	calls, again := e.calls(h)
	drops, seed := e.drops(), maphash.MakeSeed()
	o := model.Options{
		Start: e.o.Start, Settings: e.o.Settings, Lease: 3 * e.o.Lease, Stays: e.stays(h), Release: handover, Credentials: e.credentials(),
	}
	parts := make([]*model.Model, runtime.GOMAXPROCS(0))
	found := make([][]model.Expectation, len(parts))
	var work sync.WaitGroup
	for i := range parts {
		o.Of = func(user string) bool { return maphash.String(seed, user)%uint64(len(parts)) == uint64(i) }
		parts[i] = model.New(o)
		work.Go(func() {
			e.tell(parts[i], calls, drops)
			found[i] = parts[i].Expect()
		})
	}
	work.Wait()
	lost = map[string]string{}
	for _, m := range parts {
		maps.Copy(lost, m.Lost())
	}
	return slices.Concat(found...), lost, again
}

// tell a model of calls, and of the tokens that were dropped meanwhile.
func (e *Engine) tell(m *model.Model, calls []model.Call, drops []drop) {
	for _, c := range calls {
		for len(drops) > 0 && drops[0].from <= c.Sent {
			m.Dropped(drops[0].notifier, drops[0].token, drops[0].from, drops[0].to)
			drops = drops[1:]
		}
		m.Tell(c)
		e.o.Progress.moves.Add(1)
	}
}

// calls are all that was told, in the order of the model.
func (e *Engine) calls(h *checker.History) (calls []model.Call, again map[[2]string]bool) {
	all := slices.Clone(e.clients.told)
	for _, ev := range h.Events {
		if ev.Kind == simulations.IMUp || ev.Kind == simulations.IMDown {
			all = append(all, told{Call: model.Call{Event: ev, Sent: ev.At, Answered: ev.At}})
		}
	}
	slices.SortStableFunc(all, func(a, b told) int { return cmp.Compare(a.Sent, b.Sent) })
	calls, again = make([]model.Call, 0, len(all)), map[[2]string]bool{}
	for _, t := range all {
		repeated := t.unsure || t.copy == 0 && t.Status == rousev1.ItemStatus_ITEM_STATUS_DUPLICATE
		if repeated || t.Event.Kind != simulations.Presence && t.Event.Kind != simulations.Message {
			t.Status = 0
		}
		if repeated || t.copy > 0 {
			again[[2]string{t.User, t.Event.Message}] = true
		}
		calls = append(calls, t.Call)
	}
	return calls, again
}
