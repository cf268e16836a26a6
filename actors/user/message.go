package user

import (
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

const (
	suppressed = rousev1.OutcomeStatus_OUTCOME_STATUS_SUPPRESSED
	isPending  = rousev1.OutcomeStatus_OUTCOME_STATUS_PENDING
	maxCount   = 9999 // badges and counts stop here
)

// decideMessage judges a message that was not decided before and takes room
// for its pushes.
func (s *State) decideMessage(c Message, e *Env) Decision {
	if s.repeats(c) && !plant.On(plant.RepeatCountedTwice) {
		return Decision{Reply: answer(rousev1.ItemStatus_ITEM_STATUS_DUPLICATE)}
	}
	if len(s.Pending) >= MaxPending {
		return refuse(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, true, "the user has too many messages with pushes not ended; send the same item again later")
	}
	p, raise := s.judge(c, e)
	dec := Decision{Reply: answer(accepted), Touched: []*Pending{p}}
	if !s.placeInLanes(p, e) {
		return refuse(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, true, "the vendor's lane is full; send the same item again later")
	}
	for i := range p.Verdicts {
		if p.Verdicts[i].Stage == StageLane {
			dec.Send = append(dec.Send, Push{Pending: p, Verdict: i})
		}
	}
	p.Steps = e.Trail.String()
	s.markCounted(p, raise)
	if e.App.RecallOverwrites {
		p.Collapse = c.GetCollapseId()
	}
	if !p.done() {
		p.Payload = s.payload(p, c.MessageEvent, e)
		if e.App.RecallOverwrites {
			p.Payload.CollapseId = p.collapse()
		}
	}
	s.forget(&dec, c, e)
	dec.decided(s, e, p, raise)
	dec.countMarketing(p, e)
	return dec
}

// decided adds the event of a message's decision. The record names the days with
// decisions, so that a repeat can be found.
func (d *Decision) decided(s *State, e *Env, p *Pending, raise []int) {
	ev := messageDecided{p: p, raise: raise}
	if day := unixDay(e.Now); s.Known && s.Days[0] != day {
		ev.day, d.Changed = day, true
	}
	d.Changed = d.Changed || len(raise) > 0
	d.Events = append(d.Events, ev)
}

func (s *State) repeats(c Message) bool { return c.Seen || s.pending(c.GetMessageId()) != nil }

// judge runs the decision procedure: gates of the message, the offline count,
// the recipient, the sender's off switch, the recipient's wishes, and each
// device. It gives every device its verdict, and names those whose count rises.
// It changes and takes nothing.
func (s *State) judge(c Message, e *Env) (p *Pending, raise []int) {
	m := c.MessageEvent
	if e.Trail != nil {
		e.Trail.look(stepRepeat, 0, "", yes(wordDecidedBefore, s.repeats(c)))
	}
	p = &Pending{Message: m.GetMessageId(), DecidedAt: e.Now.UnixMilli(), Expires: expires(m, e).UnixMilli(), Marketing: marketing(m)}
	w := s.wish(c, e)
	if !(e.App.SkipSilent && w.reason() != 0) {
		raise = s.counts(m, e)
	}
	reason := gate(m, e)
	if reason == 0 {
		if e.Trail != nil {
			e.Trail.look(stepCount, 0, "", yes(wordCounts, !uncounted(m, e)), yes(wordSkipSilent, e.App.SkipSilent), num(wordDevicesRaised, len(raise)))
		}
		reason = s.recipient(c, e)
	}
	if reason != 0 {
		s.suppressAll(p, reason)
	} else {
		s.route(p, m, e, &w, raise)
	}
	for i := range p.Verdicts {
		if v := &p.Verdicts[i]; v.Stage == StageEnded {
			v.EndedAt = p.DecidedAt
		}
	}
	return p, raise
}

// gate tells why a message wakes nobody, whoever he is; 0 = it may.
func gate(m *rousev1.MessageEvent, e *Env) rousev1.Reason {
	t := e.Trail
	r := venue(m, e)
	if t != nil {
		t.look(stepConversation, r, "", enum(wordType, ofConversation, m.GetConversationType()),
			yes(wordOnlineOnly, m.GetOnlineOnly()), yes(wordOwn, m.GetSender() == e.Me))
	}
	if r != 0 {
		return r
	}
	r = kindGate(m, e)
	if t != nil {
		t.look(stepKind, r, "", enum(wordKind, ofKind, m.GetKind()), yes(wordPushAllKinds, e.App.AllKinds))
	}
	if r != 0 {
		return r
	}
	r = sizeGate(m, e)
	if t != nil {
		t.look(stepGroupSize, r, "", num(wordGroupSize, m.GetGroupSize()), num(wordGroupLimit, e.App.GroupLimit))
	}
	if r != 0 {
		return r
	}
	age, left := e.Now.Sub(sentAt(m, e.Now)), expires(m, e).Sub(e.Now)
	if age > MaxAge || left <= 0 {
		r = rousev1.Reason_REASON_MESSAGE_EXPIRED
	}
	if t != nil {
		t.look(stepAge, r, "", num(wordAge, int64(age/time.Second)), num(wordLeft, int64(left/time.Second)))
	}
	return r
}

func venue(m *rousev1.MessageEvent, e *Env) rousev1.Reason {
	switch {
	case m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_ROOM:
		return rousev1.Reason_REASON_CHAT_ROOM
	case m.GetOnlineOnly():
		return rousev1.Reason_REASON_ONLINE_ONLY
	case m.GetSender() == e.Me:
		return rousev1.Reason_REASON_SENDER_DEVICE
	}
	return 0
}

func kindGate(m *rousev1.MessageEvent, e *Env) rousev1.Reason {
	if !chat(m) && !e.App.AllKinds {
		return rousev1.Reason_REASON_KIND_NOT_PUSHED
	}
	return 0
}

func sizeGate(m *rousev1.MessageEvent, e *Env) rousev1.Reason {
	if inGroup(m) && m.GetGroupSize() > e.App.GroupLimit {
		return rousev1.Reason_REASON_GROUP_TOO_LARGE
	}
	return 0
}

// recipient tells why the user is not woken, wherever he is; 0 = he may be. An
// unknown user comes before the sender's off switch: nothing can be said of him.
func (s *State) recipient(m Message, e *Env) rousev1.Reason {
	var r rousev1.Reason
	switch {
	case !s.Known:
		r = rousev1.Reason_REASON_NO_USER
	case s.Banned:
		r = rousev1.Reason_REASON_USER_BANNED
	}
	if e.Trail != nil {
		e.Trail.look(stepUser, r, "", yes(wordKnown, s.Known), yes(wordBanned, s.Banned), num(wordDevices, len(s.Devices)))
	}
	if r != 0 {
		return r
	}
	switch {
	case m.GetIgnorePush():
		r = rousev1.Reason_REASON_IGNORED_BY_SENDER
	case m.Stopped:
		r = rousev1.Reason_REASON_STOPPED_BY_HOOK
	}
	if e.Trail != nil {
		e.Trail.look(stepIgnore, r, "", yes(wordIgnorePush, m.GetIgnorePush()), yes(wordStopped, m.Stopped))
	}
	return r
}

func inGroup(m *rousev1.MessageEvent) bool {
	return m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_GROUP
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

func expires(m *rousev1.MessageEvent, e *Env) time.Time { return sentAt(m, e.Now).Add(life(m, e.App)) }

// life is how long a push of the message is wanted.
func life(m *rousev1.MessageEvent, app *App) time.Duration {
	if m.GetTtl() != nil {
		return m.GetTtl().AsDuration()
	}
	return app.TTL
}

// counts names the devices whose offline count the message raises: those it
// does not reach now. The badge means offline messages, so a message that is
// stored but not pushed (ignored, expired, group too large) counts too.
func (s *State) counts(m *rousev1.MessageEvent, e *Env) []int {
	if uncounted(m, e) {
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

// uncounted messages are not kept for devices that are offline, or the sender
// does not want them counted.
func uncounted(m *rousev1.MessageEvent, e *Env) bool {
	return m.GetNoCount() || venue(m, e) != 0 || kindGate(m, e) != 0
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

func unixDay(t time.Time) uint16 { return uint16(t.Unix() / 86400) }
