package app

import (
	"testing"
	"time"

	"github.com/rouse-im/rouse/actors/lane"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

// The state that weighs most holds.
func TestStateOfLane(t *testing.T) {
	now := time.Now()
	out := lane.QuotaUse{Class: vendors.ClassIM, Used: 5, Limit: 5, ExhaustedUntil: now.Add(time.Hour), Reason: rousev1.Reason_REASON_NOTIFIER_OUT_OF_QUOTA}
	open := func(why rousev1.Reason) lane.Stats {
		s := lane.Stats{Worked: true, Breaker: lane.BreakerOpen, Obstacle: why, Code: "x", ProbeAt: now.Add(time.Minute)}
		s.Quotas[1] = out
		return s
	}
	spent := lane.Stats{Worked: true, PausedUntil: now.Add(-time.Minute)}
	spent.Quotas[1] = out
	renewed := spent
	renewed.Quotas[1].ExhaustedUntil = now
	for _, c := range []struct {
		lane   lane.Stats
		state  rousev1.CredentialState
		reason rousev1.Reason
		paused bool
		quotas int
	}{
		{lane.Stats{}, rousev1.CredentialState_CREDENTIAL_STATE_UNTRIED, 0, false, 0},
		{lane.Stats{Worked: true}, rousev1.CredentialState_CREDENTIAL_STATE_VALID, 0, false, 0},
		{lane.Stats{Worked: true, NoShare: true}, rousev1.CredentialState_CREDENTIAL_STATE_UNREACHABLE, rousev1.Reason_REASON_NO_SHARE, false, 0},
		{spent, rousev1.CredentialState_CREDENTIAL_STATE_OUT_OF_QUOTA, rousev1.Reason_REASON_NOTIFIER_OUT_OF_QUOTA, false, 1},
		{renewed, rousev1.CredentialState_CREDENTIAL_STATE_VALID, 0, false, 1},
		{open(rousev1.Reason_REASON_VENDOR_TIMEOUT), rousev1.CredentialState_CREDENTIAL_STATE_UNREACHABLE, rousev1.Reason_REASON_VENDOR_TIMEOUT, true, 1},
		{open(rousev1.Reason_REASON_CREDENTIAL_REJECTED), rousev1.CredentialState_CREDENTIAL_STATE_INVALID, rousev1.Reason_REASON_CREDENTIAL_REJECTED, true, 1},
	} {
		s := &rousev1.CredentialStatus{}
		fillFromLane(s, c.lane, now)
		if s.GetState() != c.state || s.GetReason() != c.reason || (s.GetPausedUntil() != nil) != c.paused || len(s.GetQuotas()) != c.quotas {
			t.Errorf("got %v, want %v %v", s, c.state, c.reason)
		}
	}
}
