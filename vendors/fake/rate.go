package fake

import (
	"sync"
	"time"
)

// rate bounds what a vendor counts, be it requests or tokens, within a length
// of time that starts with the first. The bound may change while the fake
// serves. What is refused is not counted.
type rate struct {
	mu      sync.Mutex
	limit   int // 0 = no bound
	length  time.Duration
	started time.Time
	count   int
}

func newRate(limit int, length time.Duration) *rate { return &rate{limit: limit, length: length} }

// set bounds what comes from now on; what was counted is forgotten.
func (r *rate) set(perSecond int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit, r.started, r.count = perSecond*int(r.length/time.Second), time.Time{}, 0
}

// spend reports whether n more fit, and counts them if so.
func (r *rate) spend(n int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.started) >= r.length {
		r.started, r.count = now, 0
	}
	if r.limit > 0 && r.count+n > r.limit {
		return false
	}
	r.count += n
	return true
}

// SetRate bounds the pushes per second to one device from now on; 0, as at the
// start, ends the bound. Apple has no other documented rate. Light mode knows
// no devices, and so no bound.
func (a *APNs) SetRate(perSecond int) {
	a.devices.mu.Lock()
	defer a.devices.mu.Unlock()
	a.devices.perSecond = perSecond
}

// SetRate changes Options.PerMinute to 60 times perSecond, from now on; 0 ends
// the bound. Google counts messages of a project.
func (f *FCM) SetRate(perSecond int) { f.pace.set(perSecond) }

// SetRate changes Options.PerSecond from now on; 0 ends the bound. Huawei
// counts tokens.
func (h *Huawei) SetRate(perSecond int) { h.pace.set(perSecond) }

// SetRate changes Options.PerSecond from now on; 0 ends the bound. Honor
// counts tokens.
func (h *Honor) SetRate(perSecond int) { h.pace.set(perSecond) }

// SetRate changes Options.PerSecond from now on; 0 ends the bound. Xiaomi
// counts requests.
func (x *Xiaomi) SetRate(perSecond int) { x.pace.set(perSecond) }

// SetRate changes Options.PerSecond from now on; 0 ends the bound. OPPO counts
// messages, which are tokens.
func (f *OPPO) SetRate(perSecond int) { f.pace.set(perSecond) }

// SetRate changes Options.PerSecond from now on; 0 ends the bound. vivo counts
// messages, which are tokens.
func (f *Vivo) SetRate(perSecond int) { f.pace.set(perSecond) }

// SetRate changes Options.PerSecond from now on; 0 ends the bound. Meizu
// counts requests.
func (m *Meizu) SetRate(perSecond int) { m.pace.set(perSecond) }
