package user

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

// Pending is a decided message; while any of its pushes has not ended it is
// kept in the outbox, afterwards only as an outcome.
type Pending struct {
	Message   string
	DecidedAt int64 // unix ms; part of the outbox key
	Due       int64 // unix ms when delayed pushes are to be sent; 0 = none are
	Expires   int64 // unix ms
	Verdicts  []Verdict
	// Version is the highest change of the message that was decided; 0 = none.
	Version uint32
	// Gone: that change withdrew it.
	Gone bool
	// Collapse is the sender's collapse id, kept for messages that may be overwritten.
	Collapse string
	// Marketing: the message is of that class.
	Marketing bool
	// Payload is what a push is made of; nil once all have ended.
	Payload *rousev1.MessageEvent

	// Steps of the decision, as Trail keeps them, until they are dropped or durable
	// in a record of their own; Traced: that was proposed.
	Steps  string
	Traced bool

	stored bool // an outbox entry was proposed
}

// Stage of a push that has not ended.
type Stage uint8

// Stages. The zero value is the end.
const (
	StageEnded   Stage = iota
	StageDelayed       // until Pending.Due
	StageWaiting       // for room in the lane
	StageLane          // handed to the lane
)

// Verdict on one device, or on one binding of it.
type Verdict struct {
	Device     string // empty: the user has no device
	Notifier   string // empty: no binding was chosen
	Status     rousev1.OutcomeStatus
	Reason     rousev1.Reason
	Stage      Stage
	VoIP       bool
	Counted    uint32 // 1 + Device.Round in which the message raised the count; 0 = it did not, or was taken out
	Badge      int32  // negative = none
	EndedAt    int64  // unix ms; 0 while pending
	VendorCode string
	VendorID   string
	// Withdrawn is why the lane was asked to cancel the push, until it has ended:
	// whoever leads the shard next does not send it again.
	Withdrawn rousev1.Reason

	// Told by receipts.
	DeliveredAt, ClickedAt int64 // unix ms; 0 = not reported
	ReceiptReason          rousev1.Reason
	ReceiptCode            string
}

// done says that every verdict is terminal.
func (p *Pending) done() bool {
	for i := range p.Verdicts {
		if p.Verdicts[i].Stage != StageEnded {
			return false
		}
	}
	return true
}

// life is how long a push of it is wanted at most, whatever clocks said when it was
// decided.
func (p *Pending) life(app *App) time.Duration {
	if isRefresh(p.Message) {
		return refreshTTL
	}
	return life(p.Payload, app)
}

// Outcomes in the words of the contract.
func (p *Pending) Outcomes(app, user string) []*rousev1.Outcome {
	out := make([]*rousev1.Outcome, 0, len(p.Verdicts))
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		o := &rousev1.Outcome{
			UserId: user, MessageId: shown(p.Message), DeviceId: v.Device, Notifier: v.Notifier,
			Status: v.Status, Reason: v.Reason, VendorCode: v.VendorCode, VendorId: v.VendorID,
			DecidedAt: millis(p.DecidedAt), ReceiptReason: v.ReceiptReason, ReceiptCode: v.ReceiptCode,
		}
		if v.Notifier != "" {
			o.PushId = PushID(app, user, v.Device, p.Message)
			if v.Badge >= 0 {
				b := uint32(v.Badge)
				o.Badge = &b
			}
		}
		for _, t := range []struct {
			to **timestamppb.Timestamp
			ms int64
		}{{&o.EndedAt, v.EndedAt}, {&o.DeliveredAt, v.DeliveredAt}, {&o.ClickedAt, v.ClickedAt}} {
			if t.ms != 0 {
				*t.to = millis(t.ms)
			}
		}
		out = append(out, o)
	}
	return out
}

// Has tells whether a push of the message has this id.
func (p *Pending) Has(app, user, pushID string) bool {
	for i := range p.Verdicts {
		if v := &p.Verdicts[i]; v.Notifier != "" && PushID(app, user, v.Device, p.Message) == pushID {
			return true
		}
	}
	return false
}

// shown is a message id for people: those of the engine's own pushes hold a
// control character.
func shown(message string) string { return strings.ReplaceAll(message, inner, "#") }

// PushID is the same for every attempt to wake one device with one message: a
// UUID of version 8 made of a hash of the four names.
func PushID(app, user, device, message string) string {
	var buf [512]byte
	b := buf[:0]
	for _, s := range [4]string{app, user, device, message} {
		b = append(append(b, s...), 0)
	}
	h := sha256.Sum256(b)
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	var u [36]byte
	hex.Encode(u[:8], h[:4])
	hex.Encode(u[9:13], h[4:6])
	hex.Encode(u[14:18], h[6:8])
	hex.Encode(u[19:23], h[8:10])
	hex.Encode(u[24:], h[10:16])
	u[8], u[13], u[18], u[23] = '-', '-', '-', '-'
	return string(u[:])
}

// endPushes ends the pushes that match: those not yet with a lane at once,
// the others by asking their lane, whose answer decides.
func (s *State) endPushes(d *Decision, e *Env, st rousev1.OutcomeStatus, r rousev1.Reason, match func(*Verdict) bool) {
	for _, p := range s.Pending {
		s.endOf(d, e, p, st, r, match)
	}
}

func (s *State) endOf(d *Decision, e *Env, p *Pending, st rousev1.OutcomeStatus, r rousev1.Reason, match func(*Verdict) bool) {
	for i := range p.Verdicts {
		v := &p.Verdicts[i]
		if v.Stage == StageEnded || !match(v) {
			continue
		}
		if v.Stage == StageLane {
			d.Cancel = append(d.Cancel, Push{Pending: p, Verdict: i, Reason: r})
			if v.Withdrawn == 0 && !plant.On(plant.WithdrawalForgotten) {
				d.Events = append(d.Events, pushWithdrawn{p: p, i: i, reason: r})
				d.touch(p)
			}
			continue
		}
		d.end(e, p, i, st, r)
	}
}

func (d *Decision) end(e *Env, p *Pending, i int, st rousev1.OutcomeStatus, r rousev1.Reason) {
	d.settleMarketing(p, i, false, e)
	d.Events = append(d.Events, verdictEnded{p: p, i: i, status: st, reason: r, at: e.Now.UnixMilli()})
	d.touch(p)
}

func (d *Decision) touch(p *Pending) {
	if !slices.Contains(d.Touched, p) {
		d.Touched = append(d.Touched, p)
	}
}

// decideEnded takes a lane's report. One that is not awaited changes nothing:
// it was counted before, or the user was erased.
func (s *State) decideEnded(c Ended, e *Env) Decision {
	dec := Decision{Reply: answer(accepted)}
	p, i := s.awaited(c)
	if p == nil {
		dec.Reply = answer(rousev1.ItemStatus_ITEM_STATUS_DUPLICATE)
		return dec
	}
	d := s.device(c.Device)
	var b *Binding
	if d != nil {
		b = d.binding(c.Notifier)
	}
	if c.TokenInvalid && b != nil && b.Sum != c.Sum && p.Expires > e.Now.UnixMilli() && p.Verdicts[i].Withdrawn == 0 {
		// The app has bound a newer token meanwhile: the push goes there.
		s.hand(&dec, e, p, i)
		return dec
	}
	dec.settleMarketing(p, i, c.InDoubt || c.Status == rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, e)
	dec.Events = append(dec.Events, verdictEnded{
		p: p, i: i, status: c.Status, reason: c.Reason,
		code: c.VendorCode, id: c.VendorID, at: e.Now.UnixMilli(),
	})
	dec.touch(p)
	if p.Gone && c.Status == rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED {
		// It was recalled while the vendor had it.
		s.overwrite(&dec, e, p, &p.Verdicts[i], p.Version, nil)
	}
	if b == nil || b.Sum != c.Sum {
		return dec
	}
	switch {
	case c.TokenInvalid && (c.InvalidSince.IsZero() || c.InvalidSince.UnixMilli() > b.BoundAt || plant.On(plant.NewerTokenDropped)):
		sum := b.Sum
		s.dropBindings(&dec, e, d, func(x *Binding) bool { return x.Sum == sum })
	case c.NewSealed != "":
		dec.replace(d, b, c.NewSealed, c.NewSum)
	case b.LastReason != c.Reason:
		// An unchanged result is not worth a write of the record.
		dec.Events = append(dec.Events, resultKept{device: d.ID, notifier: b.Notifier, reason: c.Reason, at: e.Now.UnixMilli()})
		dec.Changed = true
	}
	return dec
}

func (s *State) awaited(c Ended) (*Pending, int) {
	p := s.pending(c.Message)
	if p == nil {
		return nil, 0
	}
	for i := range p.Verdicts {
		if v := &p.Verdicts[i]; v.Stage == StageLane && v.Device == c.Device && v.Notifier == c.Notifier {
			return p, i
		}
	}
	return nil, 0
}

// hand gives a push to its lane, or lets it wait for room there.
func (s *State) hand(d *Decision, e *Env, p *Pending, i int) {
	if !e.Room(p.Verdicts[i].Notifier) {
		if p.Verdicts[i].Stage != StageWaiting {
			d.Events = append(d.Events, verdictMoved{p: p, i: i, stage: StageWaiting})
		}
		return
	}
	d.Events = append(d.Events, verdictMoved{p: p, i: i, stage: StageLane})
	d.Send = append(d.Send, Push{Pending: p, Verdict: i})
}

// decideDue moves on what waited for a delay or for room, and ends what has expired.
func (s *State) decideDue(e *Env) Decision {
	dec := Decision{Reply: answer(accepted)}
	now := e.Now.UnixMilli()
	for _, p := range s.Pending {
		for i := range p.Verdicts {
			v := &p.Verdicts[i]
			switch {
			case v.Stage == StageEnded, v.Stage == StageLane, v.Stage == StageDelayed && p.waits(now):
			case p.Expires <= now:
				r := rousev1.Reason_REASON_TTL
				if v.Stage == StageWaiting {
					r = rousev1.Reason_REASON_VENDOR_UNAVAILABLE
				}
				dec.end(e, p, i, rousev1.OutcomeStatus_OUTCOME_STATUS_EXPIRED, r)
			default:
				s.hand(&dec, e, p, i)
			}
		}
	}
	return dec
}

// waits says that the delay is not over. A clock that was set back behind the
// decision tells nothing about it: better early than hours late.
func (p *Pending) waits(now int64) bool { return p.DecidedAt <= now && now < p.Due }

// NextDue is when Decide(Due) is worth calling again; zero = no push waits. It is
// counted from now on: that the wall clock is set meanwhile puts it off by nothing.
func (s *State) NextDue(now time.Time) time.Time {
	var next int64
	for _, p := range s.Pending {
		for i := range p.Verdicts {
			var at int64
			switch p.Verdicts[i].Stage {
			case StageDelayed:
				if at = p.Due; !p.waits(now.UnixMilli()) {
					at = now.UnixMilli()
				}
			case StageWaiting:
				at = now.Add(time.Second).UnixMilli()
			default:
				continue
			}
			if next == 0 || at < next {
				next = at
			}
		}
	}
	if next == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(next-now.UnixMilli()) * time.Millisecond)
}

func millis(ms int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMilli(ms)) }

func seconds(s int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(s, 0)) }

func newestFirst(list []*Pending, limit int) []*Pending {
	slices.SortStableFunc(list, func(a, b *Pending) int { return cmp.Compare(b.DecidedAt, a.DecidedAt) })
	return list[:min(limit, len(list))]
}
