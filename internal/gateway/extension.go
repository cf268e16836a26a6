package gateway

import (
	"slices"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/extension"
)

// extend puts what message extensions say into the fields of their messages,
// and refuses events whose extension cannot be read. The caller's events stay
// as they are.
func extend(b *batch, events []*rousev1.Event) []*rousev1.Event {
	copied := false
	for i, e := range events {
		if e.GetMessage().GetExtension() == "" {
			continue
		}
		if !copied {
			events, copied = slices.Clone(events), true
		}
		m, wrong := merge(e.GetMessage())
		if wrong != nil {
			// Without a kind nobody looks at it any further.
			b.events[i].refused, events[i] = wrong, &rousev1.Event{}
			continue
		}
		events[i] = &rousev1.Event{Kind: &rousev1.Event_Message{Message: m}}
	}
	return events
}

func merge(m *rousev1.MessageEvent) (*rousev1.MessageEvent, *rousev1.Error) {
	m, err := extension.Merge(m)
	if err != nil {
		return nil, complaint(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "message.%s", err)
	}
	return m, nil
}
