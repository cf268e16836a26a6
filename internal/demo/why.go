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

// maxAsked bounds the candidates of one reason.
const maxAsked = 20

// explain picks a message that did not wake one of its recipient's devices, and
// asks why: it would end in the same way if it came now. Nil = there is none.
func (w *world) explain(ctx context.Context, lines []Line, p *played) (*Why, error) {
	messages := map[string]*Line{}
	for i := range lines {
		if l := &lines[i]; l.Do == Message {
			messages[l.ID] = l
		}
	}
	asked := map[rousev1.Reason]int{}
	for _, o := range p.silent() {
		l := messages[o.GetMessageId()]
		if asked[o.GetReason()]++; l == nil || asked[o.GetReason()] > maxAsked {
			continue
		}
		m, err := l.message()
		if err != nil {
			return nil, err
		}
		r, err := w.admin.Trace.Explain(ctx, &rousev1.ExplainRequest{UserId: o.GetUserId(), Message: m})
		if err != nil {
			return nil, fmt.Errorf("asking why %s was not woken by %s: %w", o.GetUserId(), o.GetMessageId(), err)
		}
		for _, d := range r.GetDevices() {
			if now := d.GetOutcome(); now.GetDeviceId() == o.GetDeviceId() && now.GetReason() == o.GetReason() {
				return &Why{Outcome: o, From: l.From, Group: l.Group, Steps: append(r.GetSteps(), d.GetSteps()...)}, nil
			}
		}
	}
	return nil, nil
}

// silent are the outcomes of devices that were not woken, of users with
// several, the most telling reason first.
func (p *played) silent() (found []*rousev1.Outcome) {
	for _, user := range slices.Sorted(maps.Keys(p.outcomes)) {
		devices := map[string]bool{}
		for _, o := range p.outcomes[user] {
			devices[o.GetDeviceId()] = true
		}
		for _, o := range p.outcomes[user] {
			if len(devices) > 1 && o.GetStatus() == rousev1.OutcomeStatus_OUTCOME_STATUS_SUPPRESSED && slices.Contains(telling, o.GetReason()) {
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
