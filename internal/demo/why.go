package demo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Why is one device of several that a message did not wake, and the steps that
// led to it.
type Why struct {
	Outcome *rousev1.Outcome
	// From is the sender, Group where he wrote; empty = to the user alone.
	From, Group string
	Steps       []*rousev1.TraceStep
}

// telling are reasons worth an explanation, the best first.
var telling = []rousev1.Reason{
	rousev1.Reason_REASON_MODE_MENTION, rousev1.Reason_REASON_QUIET_WINDOW, rousev1.Reason_REASON_MODE_NONE,
	rousev1.Reason_REASON_QUIET_CONVERSATION, rousev1.Reason_REASON_DEVICE_CAP, rousev1.Reason_REASON_USER_ONLINE,
	rousev1.Reason_REASON_DEVICE_ONLINE,
}

// explain picks a message that did not wake one of its recipient's devices, and
// asks why. Nil = there is none.
func (w *world) explain(ctx context.Context, lines []Line, p *played) (*Why, error) {
	silent := p.silent()
	if len(silent) == 0 {
		return nil, nil
	}
	o := silent[0]
	r, err := w.admin.Trace.Trace(ctx, &rousev1.TraceRequest{
		By: &rousev1.TraceRequest_MessageId{MessageId: o.GetMessageId()}, Recipient: o.GetUserId(),
	})
	if err != nil {
		return nil, fmt.Errorf("asking why %s was not woken by %s: %w", o.GetUserId(), o.GetMessageId(), err)
	}
	why := &Why{Outcome: o}
	for i := range lines {
		if l := &lines[i]; l.Do == Message && l.ID == o.GetMessageId() {
			why.From, why.Group = l.From, l.Group
		}
	}
	for _, t := range r.GetTraces() {
		why.Steps = append(why.Steps, t.GetSteps()...)
		for _, d := range t.GetDevices() {
			if d.GetOutcome().GetDeviceId() == o.GetDeviceId() {
				why.Steps = append(why.Steps, d.GetSteps()...)
			}
		}
	}
	return why, nil
}

// silent are the outcomes of devices that were not woken, of users who had
// several then, the most telling reason first.
func (p *played) silent() (found []*rousev1.Outcome) {
	for _, user := range slices.Sorted(maps.Keys(p.outcomes)) {
		devices := map[string]int{} // by message
		for _, o := range p.outcomes[user] {
			devices[o.GetMessageId()]++
		}
		for _, o := range p.outcomes[user] {
			if devices[o.GetMessageId()] > 1 && o.GetStatus() == rousev1.OutcomeStatus_OUTCOME_STATUS_SUPPRESSED && slices.Contains(telling, o.GetReason()) {
				found = append(found, o)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *rousev1.Outcome) int {
		return cmp.Or(
			cmp.Compare(slices.Index(telling, a.GetReason()), slices.Index(telling, b.GetReason())),
			strings.Compare(a.GetMessageId(), b.GetMessageId()),
		)
	})
	return found
}
