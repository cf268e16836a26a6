package live

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/demo"
	"github.com/rouse-im/rouse/internal/oracle"
	"github.com/rouse-im/rouse/internal/rpc"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/model"
	"github.com/rouse-im/rouse/simulations/report"
)

const (
	// leaseSlack is how many terms a lease may outlive its IM node: a new leader
	// gives each a full one, and its clock is read now and then.
	leaseSlack = 3
	// release is how long a token may stay with its former user.
	release = 15 * time.Second
)

// judge compares what was decided with the model, and runs the checks.
func (r *Result) judge(rec *recorder, s *stage) {
	h := &rec.h
	r.History = h
	m := model.New(model.Options{
		Start: rec.start, Settings: s.o.Settings, Lease: leaseSlack * LeaseTTL, Release: release,
		Credentials: map[string]oracle.Credential{demo.IOSVoIP: {VoIP: true}},
	})
	unsure := tell(m, rec)
	early := earlyRecalls(rec.calls)
	decided := map[[2]string][]*checker.Outcome{}
	for i := range h.Outcomes {
		o := &h.Outcomes[i]
		decided[[2]string{o.User, o.Message}] = append(decided[[2]string{o.User, o.Message}], o)
	}
	at := map[uint64]simulations.Offset{}
	for _, e := range h.Events {
		at[e.N] = e.At
	}
	for _, x := range m.Expect() {
		got := decided[[2]string{x.User, x.Message}]
		since, bad := unsure[x.User]
		if len(got) == 0 || len(x.Either) == 0 || bad && at[x.Event] >= since || early[x.Message] && recalled(got) {
			r.Unsure++
			continue
		}
		r.Judged++
		markDelayed(got, x)
		if err := compare(x, got); err != nil {
			r.Wrong = append(r.Wrong, report.Wrong{At: at[x.Event].Duration(), Event: x.Event, Text: err.Error()})
		}
	}
	h.Doubt(simulations.At(handover))
	r.Results = h.Run()
}

// earlyRecalls are the messages whose recall was sent before they were answered.
// It may have been taken first, which the model does not know.
func earlyRecalls(calls []call) map[string]bool {
	answered, early := map[string]simulations.Offset{}, map[string]bool{}
	for _, c := range calls {
		if c.event.Kind == simulations.Message {
			answered[c.event.Message] = max(answered[c.event.Message], c.answered)
		}
	}
	for _, c := range calls {
		if end, ok := answered[c.event.Message]; c.event.Kind == simulations.Recall && ok && c.sent <= end {
			early[c.event.Message] = true
		}
	}
	return early
}

// recalled tells whether nothing was pushed because a recall came first.
func recalled(got []*checker.Outcome) bool {
	return !slices.ContainsFunc(got, func(o *checker.Outcome) bool {
		return o.PushID != "" || o.Reason != rpc.Word(rousev1.Reason_REASON_RECALLED)
	})
}

// tell the model of all calls. What may or may not have been taken makes all
// that is decided for its users from then on unsure.
func tell(m *model.Model, rec *recorder) map[string]simulations.Offset {
	type told struct {
		at   simulations.Offset
		tell func()
	}
	var all []told
	unsure := map[string]simulations.Offset{}
	binds := map[[3]string][]call{}
	for _, c := range rec.calls {
		e := c.event
		node := e.Kind == simulations.IMUp || e.Kind == simulations.IMDown
		if !c.known && !node || c.status == rousev1.ItemStatus_ITEM_STATUS_REFUSED && len(e.Users()) > 1 {
			for _, u := range e.Users() {
				if since, ok := unsure[u]; !ok || c.sent < since {
					unsure[u] = c.sent
				}
			}
		}
		if c.status == rousev1.ItemStatus_ITEM_STATUS_REFUSED {
			continue
		}
		if e.Kind == simulations.Bind {
			key := [3]string{e.User, e.Device, e.Notifier}
			binds[key] = append(binds[key], c)
			c.status = 0 // calls that are no events have no status of their own
		}
		if e.Kind != simulations.Presence && e.Kind != simulations.Message {
			c.status = 0
		}
		all = append(all, told{c.sent, func() {
			m.Tell(model.Call{Event: e, Sent: c.sent, Answered: c.answered, Status: c.status})
		}})
	}
	for i := range rec.h.Outcomes {
		o := &rec.h.Outcomes[i]
		if o.Reason != rpc.Word(rousev1.Reason_REASON_TOKEN_INVALID) {
			continue
		}
		token := ""
		for _, c := range binds[[3]string{o.User, o.Device, o.Notifier}] {
			if c.sent <= o.Ended {
				token = c.event.Token
			}
		}
		from, to := o.Decided, o.Ended+1000
		all = append(all, told{from, func() { m.Dropped(o.Notifier, token, from, to) }})
	}
	slices.SortStableFunc(all, func(a, b told) int { return cmp.Compare(a.at, b.at) })
	for _, t := range all {
		t.tell()
	}
	return unsure
}

// markDelayed marks the pushes that waited by decision.
func markDelayed(got []*checker.Outcome, x model.Expectation) {
	waits := x.Delayed()
	for _, o := range got {
		o.Delayed = o.Delayed || slices.Contains(waits, o.Device)
	}
}

// compare what was decided with each of the right answers. Whether a push waits
// shows no more when it has ended, nor does the badge of one that never left.
func compare(x model.Expectation, got []*checker.Outcome) error {
	for _, either := range x.Either {
		strange := slices.ContainsFunc(got, func(o *checker.Outcome) bool {
			return !slices.ContainsFunc(either, func(d model.Decision) bool { return agrees(o, d) })
		})
		if len(either) == len(got) && !strange {
			return nil
		}
	}
	var words []string
	for _, o := range got {
		badge := -1
		if o.Badge != nil {
			badge = *o.Badge
		}
		words = append(words, fmt.Sprintf("{%s %s %s badge %d}", o.Device, o.Status, o.Reason, badge))
	}
	return fmt.Errorf("message %s for user %s: %s, want one of %v", x.Message, x.User, strings.Join(words, " "), x.Either)
}

func agrees(o *checker.Outcome, d model.Decision) bool {
	if o.Device != d.Device {
		return false
	}
	pushed := d.Reason == rousev1.Reason_REASON_QUEUED || d.Reason == rousev1.Reason_REASON_DELAYED
	if !pushed || o.PushID == "" {
		return !pushed && o.PushID == "" && o.Reason == rpc.Word(d.Reason)
	}
	return o.Status != "accepted" || o.Badge == nil && d.Badge < 0 || o.Badge != nil && *o.Badge == d.Badge
}

// handover is how long an answer of a vendor may be on its way into the store.
const handover = 2 * time.Second
