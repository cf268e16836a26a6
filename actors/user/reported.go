package user

import (
	"bytes"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors"
)

// Reported brings a receipt to the shard of its token, which knows whose it is,
// and from there to that user.
type Reported struct {
	App  string
	User string // empty until the shard of the token has filled it in
	Receipt
	NewToken string // in place of NewSealed and NewSum
	// Done is called exactly once: when all that follows is durable, or when it
	// was refused. It must not block.
	Done func(actors.Reply)
}

// Reject is answered by the vendor's repeat.
func (r *Reported) Reject() {
	r.Done(actors.Reply{Err: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_OVERLOADED, Temporary: true}})
}

// IgnoreDeadLetterLogging keeps tokens out of the log.
func (*Reported) IgnoreDeadLetterLogging() {}

// Encode appends what one node tells another of a receipt besides app and user: a
// protobuf message, written by hand:
//
//	1 notifier · 2 sum · 3 kind · 4 push id · 5 vendor id · 6 code · 7 at ms · 8 new token
func (r *Reported) Encode(b []byte) []byte {
	b = putString(b, 1, r.Notifier)
	b = putBytes(b, 2, r.Sum[:])
	b = putInt(b, 3, r.Kind)
	b = putString(b, 4, r.PushID)
	b = putString(b, 5, r.VendorID)
	b = putString(b, 6, r.Code)
	if !r.At.IsZero() {
		b = putInt(b, 7, r.At.UnixMilli())
	}
	return putString(b, 8, r.NewToken)
}

// DecodeReported reads it. Fields of a later release are passed over.
func DecodeReported(b []byte) (*Reported, error) {
	m := &Reported{}
	r := reader{s: string(b)}
	for {
		f, n, v, ok := r.next()
		if !ok {
			break
		}
		switch f {
		case 1:
			m.Notifier = v
		case 2:
			if copy(m.Sum[:], v) != len(m.Sum) {
				return nil, errCorrupt
			}
		case 3:
			m.Kind = vendors.ReceiptKind(n)
		case 4:
			m.PushID = v
		case 5:
			m.VendorID = v
		case 6:
			m.Code = v
		case 7:
			m.At = time.UnixMilli(int64(n))
		case 8:
			m.NewToken = v
		}
	}
	return m, r.err
}

// maxLook bounds the outcomes that are looked at for one receipt.
const maxLook = 4_000

func (a *Actor) onReported(c actor.Context, m *Reported) {
	r := m.Receipt
	if device := a.deviceOf(r.Notifier, r.Sum); device != "" {
		var err error
		if r.Push, err = a.pushOf(&r, device, a.home.Deps.Now()); err != nil {
			a.home.Deps.Logger.Error("outcomes cannot be read", "app", a.app, "shard", a.home.Shard, "error", err)
			m.Reject()
			return
		}
		if m.NewToken != "" {
			r.NewSealed, r.NewSum = a.seal(device, r.Notifier, m.NewToken)
		}
	}
	a.step(c, r, m.Done)
}

// deviceOf is the device that a token is bound to; empty = none.
func (a *Actor) deviceOf(notifier string, sum Sum) string {
	if a.record == "" {
		return ""
	}
	t := turns.Get().(*turn)
	defer a.release(t)
	if t.state.Decode(a.record) != nil {
		return "" // said when it is loaded
	}
	if d, _ := t.state.holder(notifier, sum); d != nil {
		return d.ID
	}
	return ""
}

// pushOf finds the message of a receipt, cheapest first: among the pending, those
// that are not durable yet, and then the days in the store, newest first, as far
// as maxLook. nil = none.
func (a *Actor) pushOf(r *Receipt, device string, now time.Time) (*Pending, error) {
	for _, p := range a.pending {
		if r.names(p, a.app, a.user, device) >= 0 {
			return p, nil
		}
	}
	a.settle()
	for _, d := range slices.Backward(a.undurable) {
		if d.erased {
			return nil, nil
		}
		if d.p != nil && r.names(d.p, a.app, a.user, device) >= 0 {
			return d.p, nil
		}
	}
	if r.PushID == "" && r.VendorID == "" {
		return nil, nil
	}
	days, err := decodeDays(a.record)
	if err != nil {
		return nil, err
	}
	today, left := unixDay(now), maxLook
	for day := min(a.lastDay(today), max(days[0], days[1])); day+OutcomeDays >= today && left > 0; day-- {
		if day < days[0] && day > days[1] {
			continue // nothing was decided between the last two days with decisions
		}
		if p, err := a.pushOn(day, r, device, &left); p != nil || err != nil {
			return p, err
		}
	}
	return nil, nil
}

// pushOn looks at the outcomes of one day and takes them off left. What is not
// named is not decoded.
func (a *Actor) pushOn(day uint16, r *Receipt, device string, left *int) (found *Pending, err error) {
	vendorID := []byte(r.VendorID)
	var bad error
	err = a.home.Deps.Store.Scan(storage.UserOutcomes(a.home.Shard, day, a.app, a.user), func(key, value []byte) bool {
		*left--
		k, err := storage.ParseOutcomeKey(key)
		if err == nil && (r.PushID != "" && PushID(a.app, a.user, device, k.Message) == r.PushID ||
			len(vendorID) > 0 && bytes.Contains(value, vendorID)) {
			var p *Pending
			if p, _, err = DecodePending(k.Message, string(value)); err == nil && r.names(p, a.app, a.user, device) >= 0 {
				found = p
			}
		}
		bad = err
		return bad == nil && found == nil && *left > 0
	})
	if err == nil {
		err = bad
	}
	return found, err
}
