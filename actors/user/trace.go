package user

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	stepLane    = rousev1.DecisionStep_DECISION_STEP_LANE
	stepVendor  = rousev1.DecisionStep_DECISION_STEP_VENDOR
	stepReceipt = rousev1.DecisionStep_DECISION_STEP_RECEIPT

	accomplished = rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED
)

// DefaultTraceSample is one in how many messages keeps its steps although all
// went well.
const DefaultTraceSample = 16

// keepsSteps says that the steps of p are worth a record of their own: it is of
// the sample, or something went otherwise than that the vendor took the push.
func (p *Pending) keepsSteps(sample uint32) bool {
	for i := range p.Verdicts {
		if v := &p.Verdicts[i]; v.Stage == StageEnded && v.Status != accomplished {
			return true
		}
	}
	return sampled(p.Message, sample)
}

// sampled is the same for all recipients of a message.
func sampled(message string, sample uint32) bool {
	return sample <= 1 || hash(message)%uint64(sample) == 0
}

// trace tells of a message: the steps of the decision, and what followed from it.
func (p *Pending) trace(app, user string, told *steps) *rousev1.MessageTrace {
	t := &rousev1.MessageTrace{
		MessageId: shown(p.Message), UserId: user, DecidedAt: millis(p.DecidedAt),
		Steps: told.message, Sampled: len(told.message) > 0, Truncated: told.cut,
	}
	for i, o := range p.Outcomes(app, user) {
		d := &rousev1.DeviceTrace{Outcome: o}
		d.Steps = append(d.Steps, told.devices[o.GetDeviceId()]...)
		d.Steps = append(d.Steps, p.followed(&p.Verdicts[i], o)...)
		t.Devices = append(t.Devices, d)
	}
	return t
}

// followed are the steps after the decision: the lane, the vendor's answer, and
// what the vendor reported later.
func (p *Pending) followed(v *Verdict, o *rousev1.Outcome) (list []*rousev1.TraceStep) {
	if v.Notifier == "" {
		return nil
	}
	note := func(step rousev1.DecisionStep, r rousev1.Reason, rule string, at *timestamppb.Timestamp, in map[string]string) {
		verdict := verdictPass
		if r != 0 {
			verdict = verdictStop
		}
		list = append(list, &rousev1.TraceStep{Step: step, Verdict: verdict, Reason: r, Rule: rule, At: at, Inputs: in})
	}
	switch {
	case v.Stage == StageDelayed:
		return nil // the decision has told so
	case v.Stage != StageEnded:
		rule := "with the lane"
		if v.Stage == StageWaiting {
			rule = "no room in the lane"
		}
		return []*rousev1.TraceStep{{
			Step: stepLane, Verdict: verdictWait, Reason: rousev1.Reason_REASON_QUEUED, Rule: rule, At: o.GetDecidedAt(),
			Inputs: map[string]string{"expires": millis(p.Expires).AsTime().Format("2006-01-02T15:04:05Z07:00")},
		}}
	case !ofVendor(v):
		note(stepLane, v.Reason, "", o.GetEndedAt(), nil)
		return list
	}
	note(stepLane, 0, "", nil, nil)
	r := v.Reason
	if v.Status == accomplished {
		r = 0
	}
	note(stepVendor, r, "", o.GetEndedAt(), present("code", v.VendorCode, "vendor_id", v.VendorID))
	if v.DeliveredAt != 0 {
		note(stepReceipt, 0, "delivered", o.GetDeliveredAt(), nil)
	}
	if v.ClickedAt != 0 {
		note(stepReceipt, 0, "clicked", o.GetClickedAt(), nil)
	}
	if v.ReceiptReason != 0 {
		note(stepReceipt, v.ReceiptReason, "", nil, present("code", v.ReceiptCode))
	}
	return list
}

// ofVendor says that a push ended by what the vendor answered, or did not.
func ofVendor(v *Verdict) bool {
	switch v.Reason {
	case rousev1.Reason_REASON_DELIVERED_TO_VENDOR, rousev1.Reason_REASON_TOKEN_INVALID, rousev1.Reason_REASON_PAYLOAD_REJECTED,
		rousev1.Reason_REASON_CREDENTIAL_REJECTED, rousev1.Reason_REASON_VENDOR_UNAVAILABLE, rousev1.Reason_REASON_VENDOR_THROTTLED,
		rousev1.Reason_REASON_VENDOR_QUOTA, rousev1.Reason_REASON_VENDOR_TIMEOUT:
		return true
	}
	return v.Status == accomplished
}

// present are those of names and values, one after the other, that are not empty.
func present(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}
