package lane

import (
	"sync/atomic"
	"time"
)

// newDaily begins with what the account says of today. Whether the bound is
// reached the first block tells.
func newDaily(o Quota, now time.Time) daily {
	q := daily{zone: o.Zone, probe: o.Probe}
	for c, u := range o.Account.Today(now) {
		q.uses[c] = use{limit: o.Limits[c], used: u.Used, until: u.Until, code: u.Code, said: now, probeAt: now.Add(o.Probe)}
	}
	q.roll(now)
	return q
}

// account carries out what the state decided about blocks.
func (a *shell) account() {
	q := &a.state.quota
	account, now := a.state.o.Quota.Account, a.lane.now()
	for _, b := range q.takes {
		account.Take(int(b.class), b.n, b.limit, b.end, now, func(n uint64, err error) {
			b.n = n
			a.lane.post(granted{account, b, err})
		})
	}
	for _, b := range q.returns {
		account.Return(int(b.class), b.n, b.end, func() {})
	}
	for _, c := range q.words {
		account.Exhaust(int(c), q.uses[c].until, q.uses[c].code)
	}
	q.blockEffects.reset()
}

// granted takes a block in; one of an account that was left goes back there.
func (a *shell) granted(m *granted, now time.Time) {
	if m.account != a.state.o.Quota.Account {
		m.account.Return(int(m.b.class), m.b.n, m.b.end, func() {})
		return
	}
	if m.err != nil {
		a.lane.log.Error("quota cannot be written; the class waits", "error", m.err)
	}
	a.state.quota.granted(m.b, m.err, now)
}

// leave gives what is left of all blocks back; then is called when that is done.
func (a *shell) leave(then func()) {
	a.state.quota.giveUpAll()
	returns := a.state.quota.returns
	a.state.quota.returns = nil
	var open atomic.Int32
	open.Store(int32(len(returns)) + 1)
	done := func() {
		if open.Add(-1) == 0 {
			then()
		}
	}
	for _, b := range returns {
		a.state.o.Quota.Account.Return(int(b.class), b.n, b.end, done)
	}
	done()
}
