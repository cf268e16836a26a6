package app

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rouse-im/rouse/actors/lane"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/vendors"
)

// credentialStatus tells how a credential is on this node.
func (n *Node) credentialStatus(app *catalog.App, c *rousev1.Credential) *rousev1.CredentialStatus {
	now := time.Now()
	s := &rousev1.CredentialStatus{
		Name: c.GetName(), State: rousev1.CredentialState_CREDENTIAL_STATE_UNTRIED, ReceiptPath: n.receiptPath(app.ID(), c),
	}
	l := n.lanes.Get(app.ID(), c.GetName())
	if l != nil {
		fillFromLane(s, l.Stats(), now)
	}
	if p := app.Previous(c.GetName()); p != nil && now.Before(p.Until) {
		s.PreviousUntil = timestamppb.New(p.Until)
	}
	if r, ok := n.apps.rotations.Load(credentialName{app.ID(), c.GetName()}); ok {
		// Pushes go, but the vendor refuses what is to stay.
		if code := r.(*rotation).refusal.Load(); code != nil {
			s.State, s.Reason, s.VendorCode = rousev1.CredentialState_CREDENTIAL_STATE_INVALID, rousev1.Reason_REASON_CREDENTIAL_REJECTED, *code
		}
	}
	_, broken := n.apps.broken.Load(credentialName{app.ID(), c.GetName()})
	switch {
	case c.GetBanned():
		overrule(s, rousev1.CredentialState_CREDENTIAL_STATE_BANNED, rousev1.Reason_REASON_NOTIFIER_BANNED)
	case c.GetDisabled():
		overrule(s, rousev1.CredentialState_CREDENTIAL_STATE_DISABLED, rousev1.Reason_REASON_NOTIFIER_DISABLED)
	case broken || l == nil:
		overrule(s, rousev1.CredentialState_CREDENTIAL_STATE_INVALID, rousev1.Reason_REASON_INVALID_NOTIFIER)
	}
	return s
}

// overrule sets what is known here, whatever the vendor said.
func overrule(s *rousev1.CredentialStatus, state rousev1.CredentialState, why rousev1.Reason) {
	s.State, s.Reason, s.VendorCode = state, why, ""
}

func fillFromLane(s *rousev1.CredentialStatus, l lane.Stats, now time.Time) {
	s.Queued, s.InFlight, s.PerSecond = uint64(max(l.Reserved, 0)), uint32(max(l.InFlight, 0)), l.PerSecond
	s.Quotas = quotasOf(l, now)
	pause := l.PausedUntil
	s.State, s.Reason, s.VendorCode = stateOfLane(l, now)
	if l.Breaker != closed && l.ProbeAt.After(pause) {
		pause = l.ProbeAt
	}
	if pause.After(now) {
		s.PausedUntil = timestamppb.New(pause)
	}
}

const closed = lane.BreakerClosed

// quotasOf lists the classes with a bound or without quota left.
func quotasOf(l lane.Stats, now time.Time) (all []*rousev1.QuotaUse) {
	for _, q := range l.Quotas {
		out := q.ExhaustedUntil.After(now)
		if q.Limit == 0 && !out {
			continue
		}
		use := &rousev1.QuotaUse{Class: classOf(q.Class), Used: q.Used, Limit: q.Limit, ResetsAt: timestamppb.New(q.ResetsAt)}
		if out {
			use.ExhaustedUntil = timestamppb.New(q.ExhaustedUntil)
		}
		all = append(all, use)
	}
	return all
}

func classOf(c vendors.Class) rousev1.MessageClass {
	switch c {
	case vendors.ClassCall:
		return rousev1.MessageClass_MESSAGE_CLASS_CALL
	case vendors.ClassIM:
		return rousev1.MessageClass_MESSAGE_CLASS_IM
	case vendors.ClassSystem:
		return rousev1.MessageClass_MESSAGE_CLASS_SYSTEM
	case vendors.ClassMarketing:
		return rousev1.MessageClass_MESSAGE_CLASS_MARKETING
	}
	return rousev1.MessageClass_MESSAGE_CLASS_UNSPECIFIED
}

// stateOfLane sums up what the vendor said; the lane's first obstacle is why.
func stateOfLane(l lane.Stats, now time.Time) (rousev1.CredentialState, rousev1.Reason, string) {
	switch {
	case l.Breaker != closed && l.Obstacle == rousev1.Reason_REASON_CREDENTIAL_REJECTED:
		return rousev1.CredentialState_CREDENTIAL_STATE_INVALID, l.Obstacle, l.Code
	case l.Breaker != closed:
		return rousev1.CredentialState_CREDENTIAL_STATE_UNREACHABLE, l.Obstacle, l.Code
	}
	for _, q := range l.Quotas {
		if q.ExhaustedUntil.After(now) {
			return rousev1.CredentialState_CREDENTIAL_STATE_OUT_OF_QUOTA, q.Reason, q.Code
		}
	}
	if l.NoShare {
		return rousev1.CredentialState_CREDENTIAL_STATE_UNREACHABLE, rousev1.Reason_REASON_NO_SHARE, ""
	}
	if l.Worked {
		return rousev1.CredentialState_CREDENTIAL_STATE_VALID, 0, ""
	}
	return rousev1.CredentialState_CREDENTIAL_STATE_UNTRIED, 0, ""
}
