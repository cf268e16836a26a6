package fake

import "time"

// receiptDevices are what receipts need to know of devices.
type receiptDevices struct {
	states map[string]receiptState
	last   map[string]sent
	// held are the pushes that wait for their devices, waiting their number.
	held    map[string][]sent
	waiting int
	day     string         // of Shanghai
	pushes  map[string]int // of that day by token
}

type receiptState struct {
	DeviceState
	// successor is the token that replaces an Uninstalled one; empty = none.
	successor string
}

// maxReceiptDevices bounds each table of receiptDevices; devices beyond are
// Online, cannot be clicked on, and have no quota.
const maxReceiptDevices = 100_000

func newReceiptDevices() receiptDevices {
	return receiptDevices{
		states: map[string]receiptState{}, last: map[string]sent{},
		held: map[string][]sent{}, pushes: map[string]int{},
	}
}

// limit keeps a table within maxReceiptDevices.
func limit[V any](table map[string]V, token string, value V) {
	if _, ok := table[token]; ok || len(table) < maxReceiptDevices {
		table[token] = value
	}
}

// SetDevice changes the state of token's device. When it leaves Offline, the
// pushes that waited are reported as expired or by the new state.
func (r *Receipts) SetDevice(token string, state DeviceState) {
	r.change(token, receiptState{state, ""})
}

// Replace makes token dead, replaced by successor: reported so by vendors that
// can, else as Uninstalled.
func (r *Receipts) Replace(token, successor string) {
	r.change(token, receiptState{Uninstalled, successor})
}

func (r *Receipts) change(token string, state receiptState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit(r.states, token, state)
	if state.DeviceState == Offline {
		return
	}
	now := time.Now()
	held := r.held[token]
	delete(r.held, token)
	r.waiting -= len(held)
	for _, s := range held {
		if s.expires.After(now) {
			r.decide(s, now)
		} else {
			r.report(s, r.form.expired, "", now)
		}
	}
}

// Click taps the newest push of token's device.
func (r *Receipts) Click(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.last[token]; ok {
		r.report(s, r.form.clicked, "", time.Now())
	}
}

// taken decides what becomes of a push.
func (r *Receipts) taken(s sent) {
	if r.o.Transport == nil || s.url == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	limit(r.last, s.token, s)
	switch {
	case r.overQuota(s.token, now):
		r.report(s, r.form.quota, "", now)
	case r.states[s.token].DeviceState != Offline:
		r.decide(s, now)
	case s.expires.IsZero():
		r.report(s, r.form.expired, "", now)
	case len(r.queue)+r.waiting >= r.o.Waiting:
		r.tally.Lost++
	default:
		r.held[s.token] = append(r.held[s.token], s)
		r.waiting++
	}
}

func (r *Receipts) overQuota(token string, now time.Time) bool {
	if r.o.PerDevice == 0 {
		return false
	}
	if day := now.In(shanghai).Format(time.DateOnly); day != r.day {
		r.day = day
		clear(r.pushes)
	}
	limit(r.pushes, token, r.pushes[token]+1)
	return r.pushes[token] > r.o.PerDevice
}

// decide reports by the state of a device that is not Offline; mu is held.
func (r *Receipts) decide(s sent, now time.Time) {
	state := r.states[s.token]
	code := map[DeviceState]string{
		Online: r.form.delivered, Uninstalled: r.form.invalid, Muted: r.form.muted, Inactive: r.form.inactive,
	}[state.DeviceState]
	r.report(s, code, state.successor, now)
}
