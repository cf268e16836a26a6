package user

import (
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Ledger counts the marketing pushes to a binding on one day of its vendor:
// those taken, those under way, and those of which nobody knows.
type Ledger struct {
	Day   uint16 // unix day of the date in the vendor's zone
	Count uint16
}

// at is the count of a day.
func (l Ledger) at(day uint16) uint16 {
	if l.Day != day {
		return 0
	}
	return l.Count
}

// day is the unix day of the date that it is in the notifier's zone.
func (n *Notifier) day(t time.Time) uint16 {
	if n.Zone != nil {
		t = t.In(n.Zone)
	}
	y, m, d := t.Date()
	return unixDay(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
}

func marketing(m *rousev1.MessageEvent) bool {
	return m.GetClass() == rousev1.MessageClass_MESSAGE_CLASS_MARKETING
}

// uncapped leaves out the bindings that had their marketing pushes of the day.
// Another vendor's binding of the device does not stand in for them.
func (d *Device) uncapped(list []*Binding, m *rousev1.MessageEvent, e *Env) ([]*Binding, rousev1.Reason) {
	if !marketing(m) {
		return list, 0
	}
	left := make([]*Binding, 0, len(list))
	var count, limit uint16
	for _, b := range list {
		n := e.App.Notifiers[b.Notifier]
		count, limit = b.Marketing.at(n.day(e.Now)), n.MarketingCap
		if limit == 0 || count < limit {
			left = append(left, b)
		}
	}
	var r rousev1.Reason
	if len(left) == 0 {
		r = rousev1.Reason_REASON_DEVICE_CAP
	}
	return left, e.Trail.lookAt(d.ID, stepCap, r, "", num(wordToday, int(count)), num(wordMarketing, int(limit)))
}

// countMarketing counts the pushes of a message that was decided now.
func (d *Decision) countMarketing(p *Pending, e *Env) {
	if !p.Marketing {
		return
	}
	for i := range p.Verdicts {
		if v := &p.Verdicts[i]; v.Stage != StageEnded {
			d.addMarketing(v, e, e.Now, 1)
		}
	}
}

// settleMarketing corrects the count of a push that ends now, and was counted on
// the day of its decision: one that the vendor did not take is given back, one
// that it took on another day counts there.
func (d *Decision) settleMarketing(p *Pending, i int, took bool, e *Env) {
	if !p.Marketing {
		return
	}
	v := &p.Verdicts[i]
	n := e.App.Notifiers[v.Notifier]
	decided := time.UnixMilli(p.DecidedAt)
	switch sameDay := n.day(decided) == n.day(e.Now); {
	case sameDay && !took:
		d.addMarketing(v, e, decided, -1)
	case !sameDay && took:
		d.addMarketing(v, e, e.Now, 1)
	}
}

// fillMarketing takes the vendor's word that the device had its pushes of the
// day on which this one was decided.
func (d *Decision) fillMarketing(p *Pending, i int, e *Env) {
	if p.Marketing {
		d.addMarketing(&p.Verdicts[i], e, time.UnixMilli(p.DecidedAt), maxCount)
	}
}

// addMarketing does nothing where no cap is: the record stays small.
func (d *Decision) addMarketing(v *Verdict, e *Env, at time.Time, by int) {
	n := e.App.Notifiers[v.Notifier]
	if n.MarketingCap == 0 {
		return
	}
	d.Events = append(d.Events, marketingCounted{device: v.Device, notifier: v.Notifier, day: n.day(at), by: by})
	d.Changed = true
}

// marketingCounted adds to a binding's ledger. A day that is over is left alone.
type marketingCounted struct {
	device, notifier string
	day              uint16
	by               int
}

func (e marketingCounted) apply(s *State) {
	d := s.device(e.device)
	if d == nil {
		return
	}
	b := d.binding(e.notifier)
	switch {
	case b == nil, b.Marketing.Day > e.day, b.Marketing.Day != e.day && e.by < 0:
		return
	case b.Marketing.Day != e.day:
		b.Marketing = Ledger{Day: e.day}
	}
	b.Marketing.Count = uint16(min(max(0, int(b.Marketing.Count)+e.by), maxCount))
	if b.Marketing.Count == 0 {
		b.Marketing = Ledger{}
	}
}
