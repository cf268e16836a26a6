package trace

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
)

const (
	maxID      = 128
	maxToken   = 4096
	maxText    = 4096
	maxRead    = 128
	maxMention = 256
	maxWords   = 48
)

// check one step: what an engine takes from a file is within the bounds of the
// contract, and time does not go back.
func (t *Reader) check(s *simulations.Step) error {
	end := simulations.At(scenarios.MaxLength)
	switch {
	case (s.Delivery == nil) == (s.Fault == nil):
		return errors.New("want a delivery or a fault")
	case s.At < 0 || s.At > end:
		return fmt.Errorf("at is %d ms; 0 to %d", s.At, end)
	case s.At < t.last:
		return fmt.Errorf("at is %d ms, after a line of %d ms", s.At, t.last)
	case s.Fault != nil:
		if s.Fault.At != s.At {
			return fmt.Errorf("the fault's at is %d ms, the line's %d", s.Fault.At, s.At)
		}
		return s.Fault.Validate()
	case s.Delivery.Event == nil:
		return errors.New("the delivery has no event")
	case s.Delivery.At != s.At || s.Delivery.Event.At > s.At || s.Delivery.Event.At < 0:
		return errors.New("the delivery is at another time than the line, or before its event")
	case len(s.Delivery.Why) > 4:
		return errors.New("more than 4 causes")
	}
	return event(s.Delivery.Event)
}

func event(e *simulations.Event) error {
	if !slices.Contains(simulations.Kinds, e.Kind) {
		return fmt.Errorf("there is no kind of event %q", e.Kind)
	}
	for _, f := range []struct {
		name, value string
		max         int
		must        bool
	}{
		{"user", e.User, maxID, len(e.Users()) == 1 && e.Kind != simulations.Message && e.Kind != simulations.Recall},
		{"device", e.Device, maxID, is(e, simulations.Presence, simulations.Bind, simulations.Unbind, simulations.Fetched)},
		{"message", e.Message, maxID, is(e, simulations.Message, simulations.Recall)},
		{"node", e.Node, 64, is(e, simulations.IMUp, simulations.IMDown)},
		{"notifier", e.Notifier, maxID, e.Kind == simulations.Bind},
		{"token", e.Token, maxToken, is(e, simulations.Bind, simulations.Dead)},
		{"vendor", e.Vendor, maxWords, e.Kind == simulations.Dead},
		{"from", e.From, maxID, false},
		{"group", e.Group, maxID, false},
		{"text", e.Text, maxText, false},
		{"why", e.Why, maxWords, false},
		{"platform", e.Platform, maxWords, false},
		{"brand", e.Brand, 32, false},
		{"zone", e.Zone, maxWords, false},
		{"policy", e.Policy, maxWords, e.Kind == simulations.Policy},
	} {
		if f.must && f.value == "" {
			return fmt.Errorf("a %s event without %s", e.Kind, f.name)
		}
		if err := word(f.name, f.value, f.max); err != nil {
			return err
		}
	}
	return lists(e)
}

func is(e *simulations.Event, kinds ...simulations.Kind) bool { return slices.Contains(kinds, e.Kind) }

func word(name, value string, limit int) error {
	if len(value) > limit {
		return fmt.Errorf("%s has %d bytes, at most %d", name, len(value), limit)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return fmt.Errorf("%s has control characters", name)
	}
	return nil
}

func lists(e *simulations.Event) error {
	states := []simulations.State{simulations.Connected, simulations.Background, simulations.Disconnected, simulations.Kicked, simulations.LoggedOut}
	switch {
	case e.Kind == simulations.Presence && (e.Session == 0 || !slices.Contains(states, e.State)):
		return fmt.Errorf("presence %q of session %d: want a state and a session from 1 on", e.State, e.Session)
	case is(e, simulations.Message, simulations.Recall) && (len(e.To) == 0 || len(e.To) > simulations.MaxRecipients):
		return fmt.Errorf("%d recipients; 1 to %d", len(e.To), simulations.MaxRecipients)
	case e.Kind == simulations.Read && (len(e.Messages) == 0 || len(e.Messages) > maxRead):
		return fmt.Errorf("%d messages read; 1 to %d", len(e.Messages), maxRead)
	case len(e.Mentions) > maxMention:
		return fmt.Errorf("%d mentions, at most %d", len(e.Mentions), maxMention)
	case e.Kind == simulations.Settings && e.Wish == nil:
		return errors.New("settings without a wish")
	case is(e, simulations.IMUp, simulations.IMDown) && e.Incarnation == 0:
		return errors.New("an IM node without an incarnation")
	}
	if w := e.Wish; w != nil && (w.QuietStart > 1439 || w.QuietEnd > 1440 || w.QuietFor > 7*24*3600 || len(w.Mode) > maxWords) {
		return errors.New("a wish beyond the minutes of a day, or a week")
	}
	for name, list := range map[string][]string{"to": e.To, "mentions": e.Mentions, "messages": e.Messages} {
		for _, id := range list {
			if id == "" {
				return fmt.Errorf("%s names nobody", name)
			}
			if err := word(name, id, maxID); err != nil {
				return err
			}
		}
	}
	return nil
}
