package user

import (
	"encoding/hex"
	"strconv"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

// decideRead withdraws the pushes of messages that the user has read somewhere,
// and takes them out of the counts of devices that have not fetched them.
func (s *State) decideRead(c Read, e *Env) Decision {
	dec := Decision{Reply: answer(rousev1.ItemStatus_ITEM_STATUS_DUPLICATE)}
	numbers := map[string]int32{}
	for _, p := range s.named(c.GetMessageIds(), c.Found) {
		if !p.done() {
			dec.Reply = answer(accepted)
			s.endOf(&dec, e, p, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_READ, func(*Verdict) bool { return true })
		}
		if !plant.On(plant.ReadNotUncounted) {
			s.uncount(&dec, e, p, numbers)
		}
		for _, q := range s.edits(p) {
			s.endOf(&dec, e, q, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_READ, func(*Verdict) bool { return true })
		}
	}
	if len(numbers) > 0 {
		dec.Reply = answer(accepted)
		s.refresh(&dec, e, numbers)
	}
	return dec
}

// named are the messages with these ids: pending ones, and of the others those found.
func (s *State) named(ids []string, found []*Pending) (all []*Pending) {
	for _, id := range ids {
		p := s.pending(id)
		for i := 0; p == nil && i < len(found); i++ {
			if found[i].Message == id {
				p = found[i]
			}
		}
		if p != nil {
			all = append(all, p)
		}
	}
	return all
}

// decideRecall withdraws or changes a message: what waits is cancelled or
// changed, what was shown is overwritten if the app wants that. A message that
// was withdrawn stays so.
func (s *State) decideRecall(c Recall, e *Env) Decision {
	all := s.named([]string{c.GetMessageId()}, c.Found)
	version, gone := max(c.GetVersion(), 1), c.GetEdited() == nil
	switch {
	case len(all) == 0 && gone:
		return s.recallUnseen(c.GetMessageId(), version, e)
	case len(all) == 0, all[0].Gone, version <= all[0].Version:
		return Decision{Reply: answer(rousev1.ItemStatus_ITEM_STATUS_DUPLICATE)}
	}
	p := all[0]
	dec := Decision{Reply: answer(accepted), Events: []Event{recalled{p: p, version: version, gone: gone}}}
	dec.touch(p)
	numbers := map[string]int32{}
	if gone && !plant.On(plant.RecallIgnored) {
		s.endOf(&dec, e, p, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_RECALLED, func(*Verdict) bool { return true })
		s.uncount(&dec, e, p, numbers)
		s.recallEdits(&dec, e, p, version)
	} else if !p.done() {
		dec.Events = append(dec.Events, contentEdited{p: p, content: c.GetEdited()})
	}
	for i := range p.Verdicts {
		switch v := &p.Verdicts[i]; {
		case v.Status == rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, v.Stage == StageLane && !gone:
			s.overwrite(&dec, e, p, v, version, c.GetEdited())
		}
	}
	for _, p := range dec.Send { // an overwriting push carries the number
		delete(numbers, p.Pending.Verdicts[p.Verdict].Device)
	}
	s.refresh(&dec, e, numbers)
	return dec
}

// recallEdits withdraws what overwrites p with words that are recalled too. What
// a vendor has already is overwritten once that is known.
func (s *State) recallEdits(dec *Decision, e *Env, p *Pending, version uint32) {
	for _, q := range s.edits(p) {
		dec.Events = append(dec.Events, recalled{p: q, version: version, gone: true})
		dec.touch(q)
		s.endOf(dec, e, q, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_RECALLED, func(*Verdict) bool { return true })
	}
}

// edits are the pushes that overwrite p with other words and have not ended.
func (s *State) edits(p *Pending) (all []*Pending) {
	for _, q := range s.Pending {
		if strings.Contains(q.Message, editMark) && origin(q.Message) == p.Message {
			all = append(all, q)
		}
	}
	return all
}

// recallUnseen decides a message that was withdrawn before it came: when it
// comes it is a repeat.
func (s *State) recallUnseen(message string, version uint32, e *Env) Decision {
	p := &Pending{Message: message, DecidedAt: e.Now.UnixMilli(), Expires: e.Now.UnixMilli(), Version: version, Gone: true}
	s.suppressAll(p, rousev1.Reason_REASON_RECALLED)
	for i := range p.Verdicts {
		p.Verdicts[i].EndedAt = p.DecidedAt
	}
	dec := Decision{Reply: answer(accepted), Touched: []*Pending{p}}
	dec.decided(s, e, p, nil)
	return dec
}

// Marks of pushes that overwrite: message, mark, version, inner, device, inner,
// notifier: each binding of a device was shown the message, and has its own.
const (
	recallMark = inner + "r"
	editMark   = inner + "e"
)

// isRecall tells a push that says that a message was withdrawn.
func isRecall(message string) bool { return strings.Contains(message, recallMark) }

// isOverwrite tells a push that takes the place of one that was shown.
func isOverwrite(message string) bool {
	return isRecall(message) || strings.Contains(message, editMark)
}

// origin is the sender's id of a message.
func origin(message string) string {
	id, _, _ := strings.Cut(message, inner)
	return id
}

// overwrite sends a push with the same collapse id as that of v, without a
// sound. A device that is online shows by itself what became of the message.
func (s *State) overwrite(dec *Decision, e *Env, p *Pending, v *Verdict, version uint32, edited *rousev1.Content) {
	d := s.device(v.Device)
	if !e.App.RecallOverwrites || s.Banned || v.VoIP || d == nil || d.unreachable(e, false) != 0 || d.binding(v.Notifier) == nil || len(s.Pending) >= MaxPending {
		return
	}
	mark := editMark
	if edited == nil {
		mark = recallMark
	}
	number := int32(-1)
	if !e.App.NoBadge {
		number = d.number(e)
		if edited == nil && p.counts(d) {
			number-- // uncount takes it out in the same decision
		}
	}
	o := &Pending{
		Message: origin(p.Message) + mark + strconv.FormatUint(uint64(version), 10) + inner + v.Device + inner + v.Notifier, DecidedAt: e.Now.UnixMilli(),
		Expires: e.Now.Add(e.App.TTL).UnixMilli(), Collapse: p.collapse(),
		Payload: &rousev1.MessageEvent{MessageId: origin(p.Message), CollapseId: p.collapse(), Content: silenced(edited)},
		Verdicts: []Verdict{{
			Device: d.ID, Notifier: v.Notifier, Status: isPending, Reason: rousev1.Reason_REASON_QUEUED, Stage: StageLane, Badge: number,
		}},
	}
	if s.pending(o.Message) != nil {
		return // it follows what it overwrites in the lane
	}
	if e.Room(v.Notifier) {
		dec.Send = append(dec.Send, Push{Pending: o, Verdict: 0})
	} else {
		o.Verdicts[0].Stage = StageWaiting
	}
	dec.Events = append(dec.Events, messageDecided{p: o})
	dec.touch(o)
}

func silenced(c *rousev1.Content) *rousev1.Content {
	return &rousev1.Content{Title: c.GetTitle(), Body: c.GetBody()}
}

// collapse is the collapse id under which a message is shown, so that it can be
// overwritten: the sender's, or one made of the message id.
func (p *Pending) collapse() string {
	if p.Collapse != "" {
		return p.Collapse
	}
	return ownCollapse(p.Message)
}

func ownCollapse(message string) string {
	h := hash(message)
	return "m" + hex.EncodeToString([]byte{
		byte(h >> 56), byte(h >> 48), byte(h >> 40), byte(h >> 32), byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h),
	})
}
