package user

import (
	"fmt"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Outbox entries and outcomes are one protobuf message, written by hand:
//
//	1 version = 1 · 2 decided at ms · 3 due ms · 4 expires ms · 5 verdict* · 6 sealed payload · 7 marketing ·
//	  8 steps, see Trail · 10 version · 11 gone · 12 collapse id
//	verdict: 1 device · 2 notifier · 3 status · 4 reason · 5 stage · 6 voip · 7 badge+1 ·
//	  8 ended at ms · 9 vendor code · 10 vendor id · 11 delivered at ms · 12 clicked at ms ·
//	  13 receipt reason · 14 receipt code · 20 counted in round + 1
//
// The message id is in the key. An outcome has no due, expires, payload and
// steps.
const outcomeVersion = 1

// EncodeOutcome appends what is kept after all pushes have ended.
func (p *Pending) EncodeOutcome(b []byte) []byte {
	b = putInt(b, 1, uint32(outcomeVersion))
	b = putInt(b, 2, p.DecidedAt)
	return p.encodeChange(p.encodeVerdicts(b))
}

func (p *Pending) encodeChange(b []byte) []byte {
	b = putInt(b, 10, p.Version)
	if p.Gone {
		b = putInt(b, 11, uint32(1))
	}
	return putString(b, 12, p.Collapse)
}

// EncodeOutbox appends what is kept until then. sealed is the payload.
func (p *Pending) EncodeOutbox(b, sealed []byte) []byte {
	b = putInt(b, 1, uint32(outcomeVersion))
	b = putInt(b, 2, p.DecidedAt)
	b = putInt(b, 3, p.Due)
	b = putInt(b, 4, p.Expires)
	b = p.encodeChange(p.encodeVerdicts(b))
	b = putBytes(b, 6, sealed)
	if p.Traced {
		return b
	}
	return putString(b, 8, p.Steps)
}

func (p *Pending) encodeVerdicts(b []byte) []byte {
	var buf [512]byte
	for i := range p.Verdicts {
		b = putBytes(b, 5, p.Verdicts[i].encode(buf[:0]))
	}
	if p.Marketing {
		b = putInt(b, 7, uint32(1))
	}
	return b
}

func (v *Verdict) encode(b []byte) []byte {
	b = putString(b, 1, v.Device)
	b = putString(b, 2, v.Notifier)
	b = putInt(b, 3, v.Status)
	b = putInt(b, 4, v.Reason)
	b = putInt(b, 5, v.Stage)
	if v.VoIP {
		b = putInt(b, 6, uint32(1))
	}
	b = putInt(b, 7, v.Badge+1)
	b = putInt(b, 8, v.EndedAt)
	b = putString(b, 9, v.VendorCode)
	b = putString(b, 10, v.VendorID)
	b = putInt(b, 11, v.DeliveredAt)
	b = putInt(b, 12, v.ClickedAt)
	b = putInt(b, 13, v.ReceiptReason)
	b = putString(b, 14, v.ReceiptCode)
	b = putInt(b, 15, v.Withdrawn)
	return putInt(b, 20, v.Counted)
}

// DecodePending reads an outbox entry or an outcome; sealed is the payload,
// empty for an outcome. Strings alias rec.
func DecodePending(message, rec string) (p *Pending, sealed string, err error) {
	p = &Pending{Message: message}
	r := reader{s: rec}
	for {
		f, n, b, ok := r.next()
		if !ok {
			return p, sealed, r.err
		}
		switch f {
		case 1:
			if n != outcomeVersion {
				return nil, "", fmt.Errorf("user: outcome of version %d, this program knows %d", n, outcomeVersion)
			}
		case 2:
			p.DecidedAt = int64(n)
		case 3:
			p.Due = int64(n)
		case 4:
			p.Expires = int64(n)
		case 5:
			v := Verdict{Badge: -1}
			if err := v.decode(b); err != nil {
				return nil, "", err
			}
			p.Verdicts = append(p.Verdicts, v)
		case 6:
			sealed = b
		case 7:
			p.Marketing = n != 0
		case 8:
			p.Steps = b
		case 10:
			p.Version = uint32(n)
		case 11:
			p.Gone = n != 0
		case 12:
			p.Collapse = b
		}
	}
}

func (v *Verdict) decode(rec string) error {
	r := reader{s: rec}
	for {
		f, n, b, ok := r.next()
		if !ok {
			return r.err
		}
		switch f {
		case 1:
			v.Device = b
		case 2:
			v.Notifier = b
		case 3:
			v.Status = rousev1.OutcomeStatus(n)
		case 4:
			v.Reason = rousev1.Reason(n)
		case 5:
			v.Stage = Stage(n)
		case 6:
			v.VoIP = n != 0
		case 7:
			v.Badge = int32(n) - 1
		case 8:
			v.EndedAt = int64(n)
		case 9:
			v.VendorCode = b
		case 10:
			v.VendorID = b
		case 11:
			v.DeliveredAt = int64(n)
		case 12:
			v.ClickedAt = int64(n)
		case 13:
			v.ReceiptReason = rousev1.Reason(n)
		case 14:
			v.ReceiptCode = b
		case 15:
			v.Withdrawn = rousev1.Reason(n)
		case 20:
			v.Counted = uint32(n)
		}
	}
}
