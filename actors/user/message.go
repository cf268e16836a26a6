package user

import (
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	suppressed = rousev1.OutcomeStatus_OUTCOME_STATUS_SUPPRESSED
	isPending  = rousev1.OutcomeStatus_OUTCOME_STATUS_PENDING
	maxCount   = 9999 // badges and counts stop here
)

// decideMessage runs the decision procedure: gates of the message, the offline
// count, the devices by presence and policy, bindings, credentials, badge.
func (s *State) decideMessage(c Message, e *Env) Decision {
	if c.Seen || s.pending(c.GetMessageId()) != nil {
		return Decision{Reply: answer(rousev1.ItemStatus_ITEM_STATUS_DUPLICATE)}
	}
	if len(s.Pending) >= MaxPending {
		return refuse(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, true, "the user has too many messages with pushes not ended; send the same item again later")
	}
	p := &Pending{Message: c.GetMessageId(), DecidedAt: e.Now.UnixMilli(), Expires: expires(c.MessageEvent, e).UnixMilli()}
	dec := Decision{Reply: answer(accepted), Touched: []*Pending{p}}
	raise := s.counts(c.MessageEvent, e)

	if reason := gate(c.MessageEvent, e); reason != 0 {
		s.suppressAll(p, reason)
	} else {
		s.route(p, c.MessageEvent, e, raise)
	}
	if !s.placeInLanes(p, e) {
		return refuse(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, true, "the vendor's lane is full; send the same item again later")
	}
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		if v.Stage == StageEnded {
			v.EndedAt = p.DecidedAt
		}
		if v.Stage == StageLane {
			dec.Send = append(dec.Send, Push{Pending: p, Verdict: i})
		}
	}
	if !p.done() {
		p.Payload = payload(c.MessageEvent)
	}
	ev := messageDecided{p: p, raise: raise}
	if day := unixDay(e.Now); s.Known && s.Days[0] != day {
		ev.day, dec.Changed = day, true
	}
	dec.Changed = dec.Changed || len(raise) > 0
	dec.Events = append(dec.Events, ev)
	return dec
}

// gate tells why a message wakes nobody, whoever is online; 0 = it may.
func gate(m *rousev1.MessageEvent, e *Env) rousev1.Reason {
	switch {
	case m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_ROOM:
		return rousev1.Reason_REASON_CHAT_ROOM
	case m.GetOnlineOnly():
		return rousev1.Reason_REASON_ONLINE_ONLY
	case m.GetSender() == e.Me:
		return rousev1.Reason_REASON_SENDER_DEVICE
	case !chat(m) && !e.App.AllKinds:
		return rousev1.Reason_REASON_KIND_NOT_PUSHED
	case m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_GROUP && m.GetGroupSize() > e.App.GroupLimit:
		return rousev1.Reason_REASON_GROUP_TOO_LARGE
	case e.Now.Sub(sentAt(m, e.Now)) > MaxAge, !expires(m, e).After(e.Now):
		return rousev1.Reason_REASON_MESSAGE_EXPIRED
	case m.GetIgnorePush():
		return rousev1.Reason_REASON_IGNORED_BY_SENDER
	}
	return 0
}

func chat(m *rousev1.MessageEvent) bool {
	return m.GetKind() == rousev1.MessageKind_MESSAGE_KIND_UNSPECIFIED || m.GetKind() == rousev1.MessageKind_MESSAGE_KIND_CHAT
}

func sentAt(m *rousev1.MessageEvent, now time.Time) time.Time {
	if m.GetSentAt() == nil {
		return now
	}
	return m.GetSentAt().AsTime()
}

func expires(m *rousev1.MessageEvent, e *Env) time.Time {
	ttl := e.App.TTL
	if m.GetTtl() != nil {
		ttl = m.GetTtl().AsDuration()
	}
	return sentAt(m, e.Now).Add(ttl)
}

// counts names the devices whose offline count the message raises: those it
// does not reach now. The badge means offline messages, so a message that is
// stored but not pushed (ignored, expired, group too large) counts too.
func (s *State) counts(m *rousev1.MessageEvent, e *Env) []int {
	if m.GetNoCount() || m.GetOnlineOnly() || m.GetSender() == e.Me ||
		m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_ROOM || (!chat(m) && !e.App.AllKinds) {
		return nil
	}
	var raise []int
	for i := range s.Devices {
		if d := &s.Devices[i]; d.Count < maxCount && !d.online(e) {
			raise = append(raise, i)
		}
	}
	return raise
}

func (s *State) suppressAll(p *Pending, r rousev1.Reason) {
	if len(s.Devices) == 0 {
		p.Verdicts = []Verdict{{Status: suppressed, Reason: r, Badge: -1}}
		return
	}
	p.Verdicts = make([]Verdict, len(s.Devices))
	for i := range s.Devices {
		p.Verdicts[i] = Verdict{Device: s.Devices[i].ID, Status: suppressed, Reason: r, Badge: -1}
	}
}

// placeInLanes takes room for each push. False: not one of the lanes wanted has
// room, and nothing was taken. Where only some are full their pushes wait, so
// that one vendor's outage does not hold up the user's other devices.
func (s *State) placeInLanes(p *Pending, e *Env) bool {
	wanted, placed := 0, 0
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		if v.Stage != StageLane {
			continue
		}
		wanted++
		if e.Room(v.Notifier) {
			placed++
		} else {
			v.Stage = StageWaiting
		}
	}
	return wanted == 0 || placed > 0
}

// payload keeps what a push is made of, without the other recipients.
func payload(m *rousev1.MessageEvent) *rousev1.MessageEvent {
	return &rousev1.MessageEvent{
		MessageId: m.GetMessageId(), Sender: m.GetSender(), ConversationType: m.GetConversationType(),
		ConversationId: m.GetConversationId(), Class: m.GetClass(), CollapseId: m.GetCollapseId(),
		Content: m.GetContent(),
	}
}

func unixDay(t time.Time) uint16 { return uint16(t.Unix() / 86400) }
