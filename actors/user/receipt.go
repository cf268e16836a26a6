package user

import (
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors"
)

// Receipt is what a vendor reported of one of the user's tokens, and of a push
// to it. It comes in no order, and can come again.
type Receipt struct {
	Notifier string
	Sum      Sum // of the token
	Kind     vendors.ReceiptKind
	// PushID and VendorID name the push; either may be empty or another's: in a
	// batch the push id is that of the first.
	PushID, VendorID string
	Code             string
	At               time.Time // by the vendor's clock; zero = not said
	// NewSealed and NewSum replace the token; empty = nothing does.
	NewSealed string
	NewSum    Sum
	// Push is the message that was found for it; nil = none.
	Push *Pending
}

// receiptMarked keeps what a receipt says of a push; zero values change nothing.
type receiptMarked struct {
	p                  *Pending
	i                  int
	delivered, clicked int64 // unix ms
	reason             rousev1.Reason
	code               string
}

func (e receiptMarked) apply(*State) {
	v := &e.p.Verdicts[e.i]
	if e.delivered != 0 {
		v.DeliveredAt = e.delivered
	}
	if e.clicked != 0 {
		v.ClickedAt = e.clicked
	}
	if e.reason != 0 {
		v.ReceiptReason, v.ReceiptCode = e.reason, e.code
	}
}

// decideReceipt takes a vendor's report. It is STALE when the token is not the
// user's any more, DUPLICATE when all of it was known, and NOT_FOUND when
// neither its push is known nor its token changes.
func (s *State) decideReceipt(c Receipt, e *Env) Decision {
	d, b := s.holder(c.Notifier, c.Sum)
	if b == nil {
		return Decision{Reply: answer(rousev1.ItemStatus_ITEM_STATUS_STALE)}
	}
	if c.Push == nil && s.unanswered(d, &c, e) {
		return refuse(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, true, "the vendor has not answered the push yet; send the same receipt again later")
	}
	dec := Decision{Reply: answer(rousev1.ItemStatus_ITEM_STATUS_DUPLICATE)}
	if i := c.verdict(e, d.ID); i >= 0 {
		dec.mark(&c, i, b, e)
	}
	if c.Kind == vendors.ReceiptInvalid || c.Kind == vendors.ReceiptReplaced {
		s.retire(&dec, &c, d, b, e)
	}
	switch {
	case len(dec.Events) > 0:
		dec.Reply = answer(accepted)
	case c.Push == nil:
		return refuse(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, false, "no push of the last days is the one that the receipt is about")
	}
	return dec
}

// holder is the device that a token is bound to.
func (s *State) holder(notifier string, sum Sum) (*Device, *Binding) {
	for i := range s.Devices {
		d := &s.Devices[i]
		if b := d.binding(notifier); b != nil && b.Sum == sum {
			return d, b
		}
	}
	return nil, nil
}

// verdict is which of the push's verdicts the receipt is about; negative = none.
func (c *Receipt) verdict(e *Env, device string) int {
	if c.Push == nil {
		return -1
	}
	return c.names(c.Push, e.ID, e.Me, device)
}

// names tells which verdict of p the receipt is about; negative = none.
func (c *Receipt) names(p *Pending, app, user, device string) int {
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		if v.Device == device && v.Notifier == c.Notifier &&
			(c.VendorID != "" && v.VendorID == c.VendorID || c.PushID != "" && c.PushID == PushID(app, user, device, p.Message)) {
			return i
		}
	}
	return -1
}

// unanswered tells that the receipt may be about a push in a batch whose answer,
// with the vendor's id, has not come yet: its push id would not find it.
func (s *State) unanswered(d *Device, c *Receipt, e *Env) bool {
	if c.VendorID == "" || !e.App.Notifiers[c.Notifier].Coalesce {
		return false
	}
	for _, p := range s.Pending {
		for i := range p.Verdicts {
			if v := &p.Verdicts[i]; v.Stage == StageLane && v.Device == d.ID && v.Notifier == c.Notifier {
				return true
			}
		}
	}
	return false
}

// mark notes on the verdict what it did not know: the first report of a kind
// stays. The result of the binding follows, unless its token ends.
func (d *Decision) mark(c *Receipt, i int, b *Binding, e *Env) {
	v := &c.Push.Verdicts[i]
	m := receiptMarked{p: c.Push, i: i}
	result := rousev1.Reason_REASON_DELIVERED_TO_VENDOR
	switch c.Kind {
	case vendors.ReceiptClicked:
		if v.ClickedAt == 0 {
			m.clicked = c.at(e)
		}
		fallthrough // what was clicked was delivered
	case vendors.ReceiptDelivered:
		if v.DeliveredAt == 0 {
			m.delivered = c.at(e)
		}
	case vendors.ReceiptInvalid, vendors.ReceiptReplaced, vendors.ReceiptQuota, vendors.ReceiptMuted, vendors.ReceiptNotShown:
		if v.ReceiptReason == 0 {
			m.reason, m.code = receiptReason(c.Kind), c.Code
		}
		result = receiptReason(c.Kind)
	}
	if m == (receiptMarked{p: c.Push, i: i}) {
		return
	}
	d.Events = append(d.Events, m)
	d.touch(c.Push)
	if c.Kind == vendors.ReceiptQuota {
		d.fillMarketing(c.Push, i, e)
	}
	if b.LastReason != result && result != rousev1.Reason_REASON_TOKEN_INVALID {
		d.Events = append(d.Events, resultKept{device: v.Device, notifier: c.Notifier, reason: result, at: e.Now.UnixMilli()})
		d.Changed = true
	}
}

// at is when it happened, within the time that it can have: vendors' clocks go wrong.
func (c *Receipt) at(e *Env) int64 {
	now := e.Now.UnixMilli()
	if c.At.IsZero() {
		return now
	}
	return max(min(c.At.UnixMilli(), now), c.Push.DecidedAt)
}

func receiptReason(k vendors.ReceiptKind) rousev1.Reason {
	switch k {
	case vendors.ReceiptInvalid, vendors.ReceiptReplaced:
		return rousev1.Reason_REASON_TOKEN_INVALID
	case vendors.ReceiptQuota:
		return rousev1.Reason_REASON_VENDOR_QUOTA
	case vendors.ReceiptMuted:
		return rousev1.Reason_REASON_MUTED_ON_DEVICE
	case vendors.ReceiptDelivered, vendors.ReceiptClicked, vendors.ReceiptNotShown:
	}
	return rousev1.Reason_REASON_NOT_SHOWN
}

// retire takes a dead token away, unless it may have been bound after the
// vendor learned that; what replaces it takes its place.
func (s *State) retire(dec *Decision, c *Receipt, d *Device, b *Binding, e *Env) {
	if !c.after(b.BoundAt) {
		return
	}
	if _, taken := s.holder(c.Notifier, c.NewSum); c.NewSealed != "" && taken == nil {
		dec.replace(d, b, c.NewSealed, c.NewSum)
		return
	}
	sum := b.Sum
	s.dropBindings(dec, e, d, func(x *Binding) bool { return x.Sum == sum })
}

// after tells that what was reported happened after a bind (unix ms): its time
// says so, or else that the push was decided after it.
func (c *Receipt) after(bound int64) bool {
	if !c.At.IsZero() {
		return c.At.UnixMilli() > bound
	}
	return c.Push != nil && c.Push.DecidedAt >= bound
}

// replace binds the token that a vendor gives in place of b's. It keeps the time
// of the bind: whoever has bound the new token himself since then, keeps it.
func (d *Decision) replace(dev *Device, b *Binding, sealed string, sum Sum) {
	d.Events = append(d.Events, tokenBound{device: dev.ID, notifier: b.Notifier, sealed: sealed, sum: sum, at: b.BoundAt})
	d.Claim = append(d.Claim, Claim{Sum: sum, Device: dev.ID, BoundAt: b.BoundAt})
	d.disown(b)
	d.Changed = true
}
